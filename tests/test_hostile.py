"""Some hundred files that are meant to do harm, between photos that must come through as if alone."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from stages.schemas import manifest
from tests import hostile

ROOT = Path(__file__).parent.parent
SETTINGS = {"seed": 1, "val_share": 0.2, "test_share": 0.2, "near_duplicate_bits": 0, "min_photos_per_class": 3}
MEMORY_MIB, SECONDS = 1500, 120


def good(folder):
    """Two classes of four photos each."""
    for number in range(8):
        path = folder / "ab"[number % 2] / f"good_{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hostile.saved(hostile.picture(1000 + number), "jpg"))


def limited():
    """Keep the process that is about to start from more memory than a decoder may ever need."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MIB * 2**20, MEMORY_MIB * 2**20))


def ingest(place, source):
    """Run the stage in a process of its own, with bounded memory and time; its manifest by path."""
    (place / "params.yaml").write_text(json.dumps({"ingest": {"source": str(source), **SETTINGS}}))
    out = {"manifest": "m.csv", "classes": "c.txt", "metrics": "m.json", "details": "d.json", "class-counts": "n.csv"}
    options = [word for name, path in out.items() for word in (f"--{name}", str(place / path))]
    words = [sys.executable, "-m", "stages.ingest", "--params", str(place / "params.yaml"), *options]
    done = subprocess.run(
        words, cwd=ROOT, timeout=SECONDS, preexec_fn=limited, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return manifest.read(place / "m.csv").set_index("path")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """The manifest of good photos alone, that of them among the hostile files, and the reasons allowed by name."""
    place = tmp_path_factory.mktemp("hostile")
    good(place / "alone")
    good(place / "photos")
    alone = ingest(place, place / "alone")
    allowed = hostile.make(place / "photos" / "a", place / "outside")
    return alone, ingest(place, place / "photos"), allowed


def test_there_are_more_than_two_hundred_of_them(outcome):
    assert len(outcome[2]) >= 200


def test_every_file_has_one_row_with_a_reason_that_is_true_of_it(outcome):
    _, rows, allowed = outcome
    shown = {"".join(c if c.isprintable() or c == "\u202e" else ascii(c)[1:-1] for c in name): name for name in allowed}
    found = rows[~rows.index.str.contains("good_")]
    assert sorted(path.removeprefix("a/") for path in found.index) == sorted(shown)
    wrong = {
        path: reason
        for path, reason in found["reason"].items()
        if reason not in allowed[shown[path.removeprefix("a/")]]
    }
    assert wrong == {}


def test_the_good_photos_have_the_rows_that_they_have_alone(outcome):
    alone, rows, _ = outcome
    columns = ["image_id", "label", "status", "reason", "width", "height", "phash", "group"]
    assert len(alone) == 8 and (alone["status"] == "ok").all()
    pd.testing.assert_frame_equal(rows.loc[alone.index, columns], alone[columns])


def test_usable_photos_all_have_a_split_and_others_none(outcome):
    _, rows, _ = outcome
    assert ((rows["split"] != "") == (rows["status"] == "ok")).all()
