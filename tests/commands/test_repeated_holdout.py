"""Several splits evaluated together: computed by hand, and by the command on a fast pipeline."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from stages.commands import repeated_holdout
from stages.commands.repeated_holdout import SplitPredictions
from stages.core.errors import TableError
from stages.schemas import predictions
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData

HEADER = "image_id,path,label,group,split,status,reason\n"
PARAMS = "ingest: {seed: 0}\nmodels: {a: {backbone: x}, b: {backbone: x}}\nensemble: {min_val: 2, method: equal}\n"
PIPELINE = """
stages:
  ensemble:
    cmd: python predict.py
    params: [ingest]
    deps: [predict.py]
    outs: [data/predictions, data/splits.csv, data/classes.txt]
"""
# Twelve photos, cars with even and vans with odd numbers; the seed decides which third is test and which is val. The
# true class has a probability of 0.9 by model a, of 0.6 by model b.
SCRIPT = f"""
import yaml
from pathlib import Path
seed = yaml.safe_load(open("params.yaml"))["ingest"]["seed"]
if seed > 5:
    raise SystemExit("this split fails")
split = [["train", "test", "val"][(n // 2 + seed) % 3] for n in range(12)]
label = ["car", "van"] * 6
row = lambda n: f"{{n:02d}},s/{{n}}.jpg,{{label[n]}},{{n:02d}},{{split[n]}},ok,"
Path("data/predictions").mkdir(parents=True, exist_ok=True)
Path("data/classes.txt").write_text("car\\nvan\\n")
Path("data/splits.csv").write_text({HEADER!r} + "\\n".join(map(row, range(12))) + "\\n")
for name, p_true in dict(a=0.9, b=0.6).items():
    held_out = [n for n in range(12) if split[n] != "train"]
    p_car = [p_true if label[n] == "car" else 1 - p_true for n in held_out]
    rows = [f"{{n:02d}},{{p:.2f}},{{1 - p:.2f}}" for n, p in zip(held_out, p_car)]
    Path(f"data/predictions/{{name}}.csv").write_text("image_id,car,van\\n" + "\\n".join(rows) + "\\n")
"""


def split(ids, ensemble, single=0.5, sure=()):
    """Test photos of class 0, whose probability is `ensemble` for the ensemble and `single` for the single model.

    The ensemble is sure of the photos `sure` for a risk of 0.1, and of none for 0.05.
    """
    test = SplitData(ids, ids, np.zeros(len(ids), np.int64), ids)
    first = np.array(ensemble).reshape(-1, 1)
    single_rows, none = np.tile([single, 1 - single], (len(ids), 1)), np.zeros(len(ids), bool)
    return SplitPredictions(test, np.hstack([first, 1 - first]), single_rows, {0.05: none, 0.1: np.isin(ids, sure)})


def test_predictions_of_all_splits_are_pooled_and_those_of_a_photo_share_a_group():
    splits = {3: split(["x", "y"], [0.8, 0.8]), 4: split(["y", "z"], [0.8, 0.2])}
    rows = repeated_holdout.table(splits).set_index("split")
    assert rows.index.tolist() == ["3", "4", "all"] and rows["n"].tolist() == [2, 2, 4]
    assert rows["accuracy"].tolist() == [1, 0.5, 0.75]
    assert rows.loc["all", "log_loss"] == pytest.approx(-(3 * np.log(0.8) + np.log(0.2)) / 4)
    assert rows.loc["all", "gain_log_loss"] == pytest.approx(rows.loc["all", "log_loss"] + np.log(0.5))
    # Four predictions of three photos. A bootstrap sample has z three times at worst, and only x and y at best.
    low, high = rows.loc["all", ["gain_log_loss_low", "gain_log_loss_high"]]
    assert low == pytest.approx(np.log(0.5) - np.log(0.8)) and high == pytest.approx(np.log(0.5) - np.log(0.2))


def test_the_risk_of_sure_predictions_is_told_for_each_promise():
    splits = {3: split(["x", "y"], [0.8, 0.8], sure=["x"]), 4: split(["y", "z"], [0.8, 0.2], sure=["y", "z"])}
    frame = repeated_holdout.table(splits)
    rows = frame.set_index("split")
    assert rows["coverage_0.1"].tolist() == [0.5, 1, 0.75] and rows["coverage_0.05"].tolist() == [0, 0, 0]
    assert rows["risk_0.1"].tolist() == [0, 0.5, pytest.approx(1 / 3)] and rows["risk_0.05"].isna().all()
    *_, last = [line for line in repeated_holdout.markdown(frame, "trial", []).splitlines() if line.startswith("| all")]
    assert last.endswith("| none | 75.0%, 33.3% |")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository of the fast pipeline, committed, as the working folder."""
    monkeypatch.chdir(tmp_path)
    files = {"predict.py": SCRIPT, "dvc.yaml": PIPELINE, "params.yaml": PARAMS, ".gitignore": "/logs\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    for words in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"], ["git", "add", "."],
                  ["git", *identity, "commit", "-q", "-m", "start"]):  # fmt: skip
        subprocess.run(words, check=True, capture_output=True)
    return tmp_path


def run_command(monkeypatch, *words):
    """The exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["repeated_holdout", "--name", "trial", *words])
    with pytest.raises(SystemExit) as stopped:
        repeated_holdout.main()
    return stopped.value.code


def test_every_seed_is_one_split_and_is_run_once(project, monkeypatch, capfd):
    assert run_command(monkeypatch, "--seeds", "1", "2") == 0
    rows = pd.read_csv("metrics/experiments/trial.csv", dtype={"split": str}).set_index("split")
    assert rows.index.tolist() == ["1", "2", "all"] and rows["n"].tolist() == [4, 4, 8]
    assert rows["accuracy"].tolist() == [1, 1, 1]
    # Four val photos are too few to promise anything.
    assert rows["coverage_0.05"].tolist() == [0, 0, 0] and rows["coverage_0.1"].tolist() == [0, 0, 0]
    text = (project / "metrics/experiments/trial.md").read_text()
    assert "2 random splits" in text and "Mean test accuracy 1.000 (standard deviation 0.000)" in text
    assert "repeated_holdout trial: 2 runs, 0 failed" in capfd.readouterr().out
    monkeypatch.setattr(repeated_holdout.experiment, "run_one", lambda *_: pytest.fail("ran again"))
    assert run_command(monkeypatch, "--seeds", "1", "2") == 0


@pytest.mark.usefixtures("project")
def test_a_failed_split_is_named_and_the_others_are_evaluated(monkeypatch, capfd):
    assert run_command(monkeypatch, "--seeds", "1", "9") == 1
    assert "trial-9: `python -m dvc exp run --name trial-9" in capfd.readouterr().err
    assert pd.read_csv("metrics/experiments/trial.csv")["split"].tolist() == ["1", "all"]


def test_parameters_of_the_command_reach_the_run(project, monkeypatch):
    assert run_command(monkeypatch, "--seeds", "1", "-S", "ensemble.min_val=3") == 0
    kept = repeated_holdout.fetch("trial-1", project / "kept") / "params.yaml"
    assert "min_val: 3" in kept.read_text() and "seed: 1" in kept.read_text()
    assert "`ensemble.min_val=3`" in (project / "metrics/experiments/trial.md").read_text()


def test_a_split_without_test_photos_is_an_error(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "data/classes.txt").write_text("car\nvan\n")
    (tmp_path / "data/splits.csv").write_text(HEADER + "v,s/v.jpg,car,v,val,ok,\n")
    for name in "ab":
        answer = Predictions(["v"], np.array([[0.5, 0.5]]), ["car", "van"])
        predictions.write(tmp_path / f"data/predictions/{name}.csv", answer)
    with pytest.raises(TableError, match=r"splits\.csv: expected photos of the split test, found none"):
        repeated_holdout.predict_split(tmp_path)
    shutil.rmtree(tmp_path)


def test_every_fold_is_one_run_with_its_number(monkeypatch, capfd):
    made = []
    monkeypatch.setattr(repeated_holdout.experiment, "require_commit", lambda: None)
    monkeypatch.setattr(repeated_holdout.experiment, "run_missing", lambda runs, *_: made.extend(runs) or [])
    monkeypatch.setattr(repeated_holdout, "write_table", lambda *words: len(words[1]))
    assert run_command(monkeypatch, "--folds", "3", "-S", "train.epochs=1") == 0
    assert [(run.name, run.overrides) for run in made] == [
        (f"trial-{n}", ("train.epochs=1", "ingest.folds=3", f"ingest.fold={n}")) for n in range(3)
    ]
    assert "repeated_holdout trial: 3 runs, 0 failed" in capfd.readouterr().out
    assert run_command(monkeypatch, "--folds", "1") == 2
    assert "--folds: expected 2 or more, found 1" in capfd.readouterr().err
