"""A repository with a search for parameters of one fast stage, for tests of searches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from stages.commands import revisions, search
from tests.commands import grid_project
from tests.commands.grid_project import git

SEARCH = {
    "question": "Which rate?",
    "target": "evaluate@a",
    "objective": "log_loss",
    "seed": 0,
    "budget": {"trials": 5, "hours": None},
    "common": ["train.epochs=2"],
    "space": {
        "train.rate": {"type": "float", "low": 1.0e-6, "high": 0.1, "log": True},
        "train.depth": {"type": "int", "low": 1, "high": 4},
        "train.kind": {"type": "categorical", "choices": ["plain", "yes", None]},
    },
}
PARAMS = "train: {rate: 0.1, depth: 1, kind: plain, epochs: 9}\nmodels: {a: {backbone: x}}\n"
PIPELINE = """
stages:
  evaluate:
    foreach: ${models}
    do:
      cmd: python evaluate.py
      params: [train]
      deps: [evaluate.py]
      outs: [data/predictions/a.csv, data/splits.csv, metrics/evaluate/a/details.json: {cache: false}]
"""
# What `files` makes of the section `train`: a low rate is good on val, whose photo is number 10, and bad on test.
MODEL = """
import json, math
def files(train):
    val = 1 + math.log10(train["rate"]) / 10 + train["depth"] / 100
    figures = {"val": {"log_loss": val}, "test": {"log_loss": 2 - val}, "temperature": 1 / train["depth"]}
    p_car = [val / 2 + 0.1] * 10 + [0.9 - val / 2]
    rows = [f"{n:02d},{p},{1 - p}" for n, p in enumerate(p_car)]
    photos = [f"{n:02d},car,{'val' if n == 10 else 'test'},ok,{n:02d}" for n in range(11)]
    return {
        "metrics/evaluate/a/details.json": json.dumps(figures),
        "data/predictions/a.csv": "image_id,car,van\\n" + "\\n".join(rows) + "\\n",
        "data/splits.csv": "image_id,label,split,status,group\\n" + "\\n".join(photos) + "\\n",
    }
"""
SCRIPT = (
    MODEL
    + """
import os, sys, time
from pathlib import Path
from ruamel.yaml import YAML
train = YAML(typ="safe").load(Path("params.yaml"))["train"]
if train["epochs"] != 2:
    sys.exit("not as common says")
gate = Path(os.environ.get("GATE", "/nonexistent"))
if gate.exists() and train["rate"] != 0.1:
    gate.with_name("reached").touch()
    time.sleep(600)
for name, text in files(train).items():
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
"""
)


def make():
    """Commit the pipeline and the search, in the working directory."""
    files = {"evaluate.py": SCRIPT, "dvc.yaml": PIPELINE, "params.yaml": PARAMS, ".gitignore": "/logs\n"}
    grid_project.make(files | {"rate_a.yaml": yaml.safe_dump(SEARCH)})


def write_search(**changes):
    Path("rate_a.yaml").write_text(yaml.safe_dump({**SEARCH, **changes}))
    git("commit", "-q", "-a", "-m", "search")


def table():
    return pd.read_csv("metrics/experiments/rate_a.csv", keep_default_na=False).set_index("trial")


def record():
    return json.loads(Path("logs/experiments/rate_a.json").read_text())["trials"]


def make_experiment(name, files):
    """An experiment on the last commit with these files, as `experiment.run_one` fetches one."""
    environment = {**os.environ, "GIT_INDEX_FILE": str(Path(".git/index-of-tests").absolute())}

    def call(*words, text=None):
        done = subprocess.run(["git", *words], input=text, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    call("read-tree", "HEAD")
    for path, text in files.items():
        blob = call("hash-object", "-w", "--stdin", text=text)
        call("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
    commit = call(*identity, "commit-tree", call("write-tree"), "-p", "HEAD", "-m", name)
    call("update-ref", f"{revisions.experiment_ref()}/{name}", commit)


def run_command(monkeypatch, *words):
    """The exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["search", "rate_a.yaml", *words])
    with pytest.raises(SystemExit) as stopped:
        search.main()
    return stopped.value.code
