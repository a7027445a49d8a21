"""The command, as people call it."""

import signal
import subprocess
import sys

import requests

from stages.schemas import corrections
from tests import small_project
from tests.commands.reviewing import review_project
from tests.commands.reviewing.review_project import IDS


def start(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "stages", "review", "--port", "0", *words],
        cwd=folder,
        env=small_project.environment() | {"PYTHONPATH": str(small_project.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_sitting_from_its_address_to_its_counts(tmp_path):
    review_project.make(tmp_path)
    process = start(tmp_path, "--who", "Ann")
    line = process.stdout.readline()
    assert line.startswith("review: 7 photos at http://127.0.0.1:")
    address, _, token = line.split()[4].rstrip(";").partition("#")
    headers = {"Authorization": f"Bearer {token}"}
    photos = f"{address}v1/photos"
    body = {"kind": "label", "value": "sedan", "expected": [], "tab": ""}
    assert requests.post(f"{photos}/{IDS[0]}/decision", json=body, headers=headers, timeout=60).status_code == 200
    assert requests.post(f"{photos}/{IDS[1]}/skip", json={}, headers=headers, timeout=60).status_code == 200
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in errors
    assert output.splitlines() == [
        "review: 1 decisions, 1 label, 1 photos skipped, 5 photos left",
        "review: next `dvc repro`, then `dvc metrics diff`; commit data/corrections.csv",
    ]
    assert corrections.read(tmp_path / "data" / "corrections.csv")["who"].tolist() == ["Ann"]


def test_what_cannot_be_reviewed_is_one_line(tmp_path):
    def error(folder, *words):
        _, errors = (process := start(folder, *words)).communicate(timeout=60)
        assert process.returncode in (1, 2)
        return errors.splitlines()[-1]

    (tmp_path / "params.yaml").write_text("ingest: {source: photos}\n")
    assert error(tmp_path).endswith("classes.txt: expected a list of classes, found none; run `dvc repro`")
    review_project.make(tmp_path)
    (tmp_path / "data" / "corrections.csv").write_text("<<<<<<< HEAD\n" + ",".join(corrections.COLUMNS) + "\n")
    assert error(tmp_path).startswith("review: data/corrections.csv: expected")
    assert "from 0 to 65535" in error(tmp_path, "--port", "70000")
    assert "printable" in error(tmp_path, "--who", "a\nb")
