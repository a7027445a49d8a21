"""The figures of the sample stand only beside results of the sample."""

from pathlib import Path

import pytest

from stages.commands import score_sample


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working directory with the figures of the sample and of a model."""
    monkeypatch.chdir(tmp_path)
    for name in ("metrics/sample.json", "metrics/sample/details.json", "metrics/ensemble.json"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("data/sample/photos", True),
        ("./data/sample/photos/", True),
        ("data/sample/photos/van", True),
        ("data/sample", False),
        ("data/sample/photos_2", False),
        ("photos", False),
        ("s3://data/sample/photos", False),
    ],
)
def test_the_sample_is_known_by_its_folder(folder, source, expected):
    assert score_sample.is_sample(source) is expected
    if "://" not in source:
        assert score_sample.is_sample(str(folder / source)) is expected


def test_with_other_photos_the_figures_of_the_sample_are_removed_and_nothing_runs(run, monkeypatch, capsys):
    Path("params.yaml").write_text("ingest: {source: photos}\n")
    monkeypatch.setattr(score_sample.programs, "run", lambda *_: pytest.fail("scored"))
    run(score_sample)
    assert not Path("metrics/sample.json").exists() and not Path("metrics/sample").exists()
    assert Path("metrics/ensemble.json").read_text() == "{}"
    assert "2 files of the sample removed" in capsys.readouterr().out
    run(score_sample)
    assert capsys.readouterr().out == ""


def test_the_sample_is_scored_by_its_own_pipeline(run, monkeypatch):
    Path("params.yaml").write_text("ingest: {source: data/sample/photos}\n")
    calls = []
    monkeypatch.setattr(score_sample.programs, "run", lambda *words: calls.append(words[1:]))
    run(score_sample)
    assert calls == [("-m", "dvc", "repro", "data/sample/dvc.yaml")] and Path("metrics/sample.json").exists()
