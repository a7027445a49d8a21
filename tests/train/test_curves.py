import json
import subprocess

import numpy as np
import pytest

from stages.classifiers.engine import tf
from stages.core.errors import UserError
from stages.train.curves import Curves


def log_two_epochs(folder, speed):
    """Log two epochs; return the tracked files by path."""
    with Curves(folder / "curves", folder / "logs") as curves:
        curves.log(0, {"val/log_loss": 2.5}, {})
        curves.log(1, {"val/log_loss": 1.25, "train/loss": 3.0}, {"photos_per_second": speed})
    files = [path for path in (folder / "curves").rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_tracked_files_hold_reproducible_metrics_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = log_two_epochs(tmp_path / "a", speed=10.0)
    assert first == log_two_epochs(tmp_path / "b", speed=20.0)
    assert first["curves/plots/metrics/val/log_loss.tsv"] == b"step\tlog_loss\n0\t2.5\n1\t1.25\n"
    assert first["curves/plots/metrics/train/loss.tsv"] == b"step\tloss\n1\t3.0\n"
    last = json.loads(first["curves/metrics.json"])
    assert last == {"step": 1, "val": {"log_loss": 1.25}, "train": {"loss": 3.0}}
    assert set(first) == {
        "curves/metrics.json",
        "curves/plots/metrics/val/log_loss.tsv",
        "curves/plots/metrics/train/loss.tsv",
    }
    assert any((tmp_path / "a" / "logs").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_repository_without_a_commit_is_refused(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["dvc", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="expected a Git repository with a commit"):
        Curves(tmp_path / "curves", tmp_path / "logs")


def test_histograms_go_to_tensorboard_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Curves(tmp_path / "curves", tmp_path / "logs") as curves:
        curves.log_histograms(3, {"head/kernel": np.array([[0.0, 1.0], [1.0, 1.0]])})
    (events,) = (tmp_path / "logs").iterdir()
    values = [value for event in tf.compat.v1.train.summary_iterator(str(events)) for value in event.summary.value]
    (histogram,) = [value for value in values if value.tag == "head/kernel"]
    # Each row is the left edge, the right edge and the count of a bin.
    assert tf.make_ndarray(histogram.tensor)[:, 2].sum() == 4
    assert not list((tmp_path / "curves").rglob("*.tsv"))
