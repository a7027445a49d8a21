"""A repository with a pipeline of one fast stage, for tests of experiments."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys, yaml
from pathlib import Path
train = yaml.safe_load(open("params.yaml"))["train"]
if train["skill"] > 1:
    sys.exit("too skilled")
with open("runs.log", "a") as log:
    log.write("ran")
Path("data/predictions").mkdir(parents=True, exist_ok=True)
rows = [f"{n:02d},{0.9 if n < 10 * train['skill'] + train['seed'] else 0.1},0.5" for n in range(10)]
Path("data/predictions/a.csv").write_text("image_id,car,van\\n" + "\\n".join(rows) + "\\n")
photos = [f"{n:02d},car,test,ok,{n:02d}" for n in range(10)]
Path("data/splits.csv").write_text("image_id,label,split,status,group\\n" + "\\n".join(photos) + "\\n")
"""
PIPELINE = """
stages:
  predict:
    cmd: python predict.py
    params: [train]
    deps: [predict.py]
    outs: [data/predictions/a.csv, data/splits.csv]
"""


def git(*words):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", *identity, *words], check=True, capture_output=True)


def make(files):
    """Commit these texts by file name, in the working directory, as a project of Git and DVC."""
    for name, text in files.items():
        Path(name).write_text(text)
    git("init", "-q")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True, capture_output=True)
    git("add", ".")
    git("commit", "-q", "-m", "start")
