import json

import numpy as np
import pandas as pd
import pytest

from stages.ingest import __main__ as ingest_stage
from stages.ingest import splits
from stages.ingest.settings import IngestSettings
from stages.scan import __main__ as scan_stage
from stages.schemas import manifest
from stages.sources.settings import ColumnSettings
from tests import archives

SETTINGS = IngestSettings(
    source="x", seed=1, val_share=0.2, test_share=0.2, near_duplicate_bits=0, min_photos_per_class=1
)


def photos(*times, groups=None, split=""):
    names = groups or [f"g{number}" for number in range(len(times))]
    return pd.DataFrame(
        {"label": "a", "group": names, "split": split, "origin": "", "time": np.array(times, dtype=float)}
    )


def assign(frame, **changes):
    return splits.assign(frame, SETTINGS.replace(**changes)).tolist()


def test_the_latest_are_test_and_those_before_them_val():
    found = assign(photos(5, 1, 9, 2, 8, 3, 7, 4, 6, 10))
    assert found == ["train", "train", "test", "train", "val", "train", "val", "train", "train", "test"]
    assert assign(photos(5, 1, 9, 2, 8, 3, 7, 4, 6, 10), seed=9) == found


def test_photos_of_one_time_stay_together_and_make_a_split_larger():
    # Two of ten should be test; three have the latest time. Two should be val, one by one before them.
    found = assign(photos(9, 9, 9, 8, 7, 6, 5, 4, 3, 2))
    assert found == ["test"] * 3 + ["val"] * 2 + ["train"] * 5


def test_a_group_counts_by_its_latest_photo():
    groups = ["car", "b", "c", "d", "e", "f", "g", "h", "i", "car"]
    # Photo 0 is the oldest of all, and of the car that was photographed last.
    found = assign(photos(0, 8, 7, 6, 5, 4, 3, 2, 1, 9, groups=groups))
    assert found == ["test", "val", "val", "train", "train", "train", "train", "train", "train", "test"]


def test_photos_without_a_time_train_and_do_not_count():
    found = assign(photos(1, 2, 3, 4, 5, np.nan, np.nan, np.nan))
    assert found == ["train", "train", "train", "val", "test", "train", "train", "train"]
    # Its group has one, so it has one.
    groups = ["a", "b", "c", "d", "e", "e", "f", "g"]
    assert assign(photos(1, 2, 3, 4, 5, np.nan, np.nan, np.nan, groups=groups))[5] == "test"


def test_the_oldest_always_train():
    assert assign(photos(4, 4, 4)) == ["train"] * 3
    assert assign(photos(1, 2)) == ["train", "train"]
    assert assign(photos(1, 2), test_share=0.5, val_share=0.4) == ["train", "test"]


def test_given_splits_are_kept_and_what_they_lack_is_by_time():
    frame = photos(1, 2, 3, 4, 5, 6, split=["test", "", "", "", "", ""])
    assert assign(frame) == ["test", "train", "train", "train", "train", "val"]


@pytest.mark.parametrize(
    ("frame", "changes", "message"),
    [
        (photos(np.nan, np.nan), {"columns": ColumnSettings(time="day")}, "times, found none for any photo"),
        (photos(1, 2, 3), {"folds": 2}, "ingest.folds: expected null where photos have times, found 2"),
        (
            photos(1, 2, 3, split=["train", "val", "test"]),
            {"columns": ColumnSettings(time="day")},
            "either the given splits count, or the times",
        ),
    ],
)
def test_times_that_cannot_decide_are_refused(frame, changes, message):
    with pytest.raises(splits.SplitError, match=message):
        assign(frame, **changes)


def test_both_stages_split_a_table_by_its_dates(tmp_path, run, capsys):
    lines = ["path,label,day"]
    for number in range(20):
        name, label = f"{number:02}.png", "ab"[number % 2]
        archives.write(tmp_path / name, np.random.default_rng(number).integers(0, 256, (30, 40, 3)).astype(np.uint8))
        lines.append(f"{name},{label},{'' if number == 7 else f'2020-01-{number + 1:02}'}")
    (tmp_path / "photos.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "params.yaml").write_text(
        f"ingest: {{source: {tmp_path}/photos.csv, columns: {{time: day}}, seed: 1, val_share: 0.2, test_share: 0.2, "
        "near_duplicate_bits: 0, min_photos_per_class: 1}\n"
    )
    out = {name: tmp_path / "out" / name for name in ("manifest", "classes", "metrics", "details", "counts", "leaks")}
    common = {"params": tmp_path / "params.yaml", "files": tmp_path / "files.csv"}
    run(scan_stage, **common, cache=tmp_path / "hashes", details=tmp_path / "scan.json")
    run(ingest_stage, **common, **{k: v for k, v in out.items() if k != "counts"}, class_counts=out["counts"],
        cache=tmp_path / "inspections", shards=tmp_path / "shards.json")  # fmt: skip
    split_of = manifest.read(out["manifest"]).set_index("path")["split"].sort_index()
    # Nineteen have a date: four are test, the four before them val.
    assert split_of.tolist() == ["train"] * 12 + ["val"] * 4 + ["test"] * 4
    details = json.loads(out["details"].read_text())
    assert (details["split_by"], details["without_time"]) == ("time", 1)
    assert "ingest: 1 photos have no time: they are in train" in capsys.readouterr().err
