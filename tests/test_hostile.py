"""Hundreds of malicious or damaged files, between photos whose results must not change."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from stages.schemas import corrections, manifest
from tests import hostile

ROOT = Path(__file__).parent.parent
SETTINGS = {"seed": 1, "val_share": 0.2, "test_share": 0.2, "near_duplicate_bits": 0, "min_photos_per_class": 3}
MEMORY_MIB, SECONDS = 1500, 120


def write_valid_photos(folder):
    """Two classes of four photos each."""
    for number in range(8):
        path = folder / "ab"[number % 2] / f"good_{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hostile.saved(hostile.picture(1000 + number), "jpg"))


def limit_memory():
    """Limit the memory of the process that is about to start."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MIB * 2**20, MEMORY_MIB * 2**20))


# Arrow's own allocator, where pandas has Arrow, reserves a gigabyte of addresses that the limit counts as used.
LIMITED = {
    "cwd": ROOT,
    "timeout": SECONDS,
    "preexec_fn": limit_memory,
    "env": {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
}


def ingest(folder, source):
    """Run `scan` and `ingest`, each in a process with limited memory and time; return its manifest by path."""
    (folder / "params.yaml").write_text(json.dumps({"ingest": {"source": str(source), **SETTINGS}}))
    common = {"params": "params.yaml", "files": "files.csv", "details": "d.json"}
    corrections.write(folder / "corrections.csv", corrections.none())
    written = {
        "corrections": "corrections.csv",
        "manifest": "m.csv",
        "shards": "s.json",
        "classes": "c.txt",
        "cache": "inspections",
    }
    written |= {"metrics": "m.json", "class-counts": "n.csv", "leaks": "l.csv"}
    for stage, files in (("scan", {"cache": "hashes"}), ("ingest", written)):
        options = [word for name, path in (common | files).items() for word in (f"--{name}", str(folder / path))]
        words = [sys.executable, "-m", f"stages.{stage}", *options]
        done = subprocess.run(words, **LIMITED, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    return manifest.read(folder / "m.csv").set_index("path")


@pytest.fixture(scope="module")
def manifests(tmp_path_factory):
    """The manifest of valid photos alone, that of the same among hostile files, and the allowed reasons by name."""
    folder = tmp_path_factory.mktemp("hostile")
    write_valid_photos(folder / "alone")
    write_valid_photos(folder / "photos")
    alone = ingest(folder, folder / "alone")
    allowed = hostile.make(folder / "photos" / "a", folder / "outside")
    return alone, ingest(folder, folder / "photos"), allowed


def test_there_are_at_least_two_hundred(manifests):
    assert len(manifests[2]) >= 200


def test_every_file_has_one_row_with_an_allowed_reason(manifests):
    _, rows, allowed = manifests
    shown = {"".join(c if c.isprintable() or c == "\u202e" else ascii(c)[1:-1] for c in name): name for name in allowed}
    hostile_rows = rows[~rows.index.str.contains("good_")]
    assert sorted(path.removeprefix("a/") for path in hostile_rows.index) == sorted(shown)
    wrong = {
        path: reason
        for path, reason in hostile_rows["reason"].items()
        if reason not in allowed[shown[path.removeprefix("a/")]]
    }
    assert wrong == {}


def test_the_valid_photos_have_the_rows_that_they_have_alone(manifests):
    alone, rows, _ = manifests
    columns = ["image_id", "label", "status", "reason", "width", "height", "phash", "group"]
    assert len(alone) == 8 and (alone["status"] == "ok").all()
    pd.testing.assert_frame_equal(rows.loc[alone.index, columns], alone[columns])


def test_usable_photos_have_a_split_and_others_none(manifests):
    _, rows, _ = manifests
    assert ((rows["split"] != "") == (rows["status"] == "ok")).all()
