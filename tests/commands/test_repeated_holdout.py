"""Several splits judged together: by hand, and through the command on a pipeline that answers in no time."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from stages.commands import repeated_holdout
from stages.commands.repeated_holdout import Split
from stages.core.tables import TableError
from stages.schemas import predictions
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData

HEADER = "image_id,path,label,group,split,status,reason,background,file,scale,pad_left,pad_top\n"
PARAMS = "ingest: {seed: 0}\nmodels: {a: {backbone: x}, b: {backbone: x}}\nensemble: {min_val: 2, method: equal}\n"
PIPELINE = """
stages:
  ensemble:
    cmd: python answer.py
    params: [ingest]
    deps: [answer.py]
    outs: [data/predictions, data/letterbox.csv, data/classes.txt]
"""
# Twelve photos, cars of even number and vans of odd; the seed says which third of them is test, which is val. Model a
# gives 0.9 to the truth, b 0.6.
SCRIPT = f"""
import yaml
from pathlib import Path
seed = yaml.safe_load(open("params.yaml"))["ingest"]["seed"]
if seed > 5:
    raise SystemExit("no such split")
split = [["train", "test", "val"][(n // 2 + seed) % 3] for n in range(12)]
label = ["car", "van"] * 6
row = lambda n: f"{{n:02d}},s/{{n}}.jpg,{{label[n]}},{{n:02d}},{{split[n]}},ok,,keep,{{n}}.png,1,0,0"
Path("data/predictions").mkdir(parents=True, exist_ok=True)
Path("data/classes.txt").write_text("car\\nvan\\n")
Path("data/letterbox.csv").write_text({HEADER!r} + "\\n".join(map(row, range(12))) + "\\n")
for name, truth in dict(a=0.9, b=0.6).items():
    chosen = [n for n in range(12) if split[n] != "train"]
    share = [truth if label[n] == "car" else 1 - truth for n in chosen]
    rows = [f"{{n:02d}},{{p:.2f}},{{1 - p:.2f}}" for n, p in zip(chosen, share)]
    Path(f"data/predictions/{{name}}.csv").write_text("image_id,car,van\\n" + "\\n".join(rows) + "\\n")
"""


def split(ids, right, single=0.5):
    """Photos of class 0; the ensemble gives it `right`, the single model `single`."""
    test = SplitData(ids, ids, ids, np.zeros(len(ids), np.int64), ids)
    first = np.array(right).reshape(-1, 1)
    return Split(test, np.hstack([first, 1 - first]), np.tile([single, 1 - single], (len(ids), 1)))


def test_answers_of_all_splits_are_judged_together_and_photos_keep_together():
    found = repeated_holdout.table({3: split(["x", "y"], [0.8, 0.8]), 4: split(["y", "z"], [0.8, 0.2])}).set_index(
        "split"
    )
    assert found.index.tolist() == ["3", "4", "all"] and found["n"].tolist() == [2, 2, 4]
    assert found["accuracy"].tolist() == [1, 0.5, 0.75]
    assert found.loc["all", "log_loss"] == pytest.approx(-(3 * np.log(0.8) + np.log(0.2)) / 4)
    assert found.loc["all", "gain_log_loss"] == pytest.approx(found.loc["all", "log_loss"] + np.log(0.5))
    # Three photos with four answers: a draw may be z three times, and x and y alone at best.
    low, high = found.loc["all", ["gain_low", "gain_high"]]
    assert low == pytest.approx(np.log(0.5) - np.log(0.8)) and high == pytest.approx(np.log(0.5) - np.log(0.2))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository of the quick pipeline, all of it committed, as the working directory."""
    monkeypatch.chdir(tmp_path)
    files = {"answer.py": SCRIPT, "dvc.yaml": PIPELINE, "params.yaml": PARAMS, ".gitignore": "/logs\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    for words in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"], ["git", "add", "."],
                  ["git", *identity, "commit", "-q", "-m", "start"]):  # fmt: skip
        subprocess.run(words, check=True, capture_output=True)
    return tmp_path


def ask(monkeypatch, *words):
    """The exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["repeat", "--name", "luck", *words])
    with pytest.raises(SystemExit) as stopped:
        repeated_holdout.main()
    return stopped.value.code


def test_every_seed_is_a_split_and_is_run_once(project, monkeypatch, capfd):
    assert ask(monkeypatch, "--seeds", "1", "2") == 0
    found = pd.read_csv("metrics/experiments/luck.csv", dtype={"split": str}).set_index("split")
    assert found.index.tolist() == ["1", "2", "all"] and found["n"].tolist() == [4, 4, 8]
    assert found["accuracy"].tolist() == [1, 1, 1]
    text = (project / "metrics/experiments/luck.md").read_text()
    assert "2 random splits" in text and "Mean test accuracy 1.000 (standard deviation 0.000)" in text
    assert "repeat luck: 2 runs, 0 failed" in capfd.readouterr().out
    monkeypatch.setattr(repeated_holdout.experiment, "run_one", lambda *_: pytest.fail("ran again"))
    assert ask(monkeypatch, "--seeds", "1", "2") == 0


@pytest.mark.usefixtures("project")
def test_a_split_that_fails_is_named_and_the_others_are_judged(monkeypatch, capfd):
    assert ask(monkeypatch, "--seeds", "1", "9") == 1
    assert "luck-9: expected exit code 0" in capfd.readouterr().err
    assert pd.read_csv("metrics/experiments/luck.csv")["split"].tolist() == ["1", "all"]


def test_a_parameter_of_the_command_reaches_the_run(project, monkeypatch):
    assert ask(monkeypatch, "--seeds", "1", "-S", "ensemble.min_val=3") == 0
    kept = repeated_holdout.fetch("luck-1", project / "kept") / "params.yaml"
    assert "min_val: 3" in kept.read_text() and "seed: 1" in kept.read_text()
    assert "`ensemble.min_val=3`" in (project / "metrics/experiments/luck.md").read_text()


def test_without_a_test_photo_there_is_nothing_to_judge(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "data/classes.txt").write_text("car\nvan\n")
    (tmp_path / "data/letterbox.csv").write_text(HEADER + "v,s/v.jpg,car,v,val,ok,,keep,v.png,1,0,0\n")
    predictions.write(tmp_path / "data/predictions/a.csv", Predictions(["v"], np.array([[0.5, 0.5]]), ["car", "van"]))
    with pytest.raises(TableError, match=r"letterbox\.csv: expected photos of val and test"):
        repeated_holdout.score_split(tmp_path)
    shutil.rmtree(tmp_path)
