import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.core import tables
from stages.images import images, letterbox
from stages.ingest import __main__ as ingest_stage
from stages.ingest import duplicates, manifest_rows, splits
from stages.ingest.manifest_rows import IngestError
from stages.ingest.settings import IngestSettings
from stages.schemas import corrections, files
from tests import archives

SETTINGS = IngestSettings(
    source="photos", seed=1, val_share=0.2, test_share=0.2, near_duplicate_bits=3, min_photos_per_class=3
)
# Perceptual hashes that differ in 32 bits and more, but for NEAR, which differ in one or two.
FAR = [f"{int(np.random.default_rng(seed).integers(0, 2**63)):016x}" for seed in range(200)]


def near(code, bit):
    return f"{int(code, 16) ^ (1 << bit):016x}"


def photo(name, label="a", split="", group="", phash=None, reason="", path=None):
    """An inspected photo; its image id is `name`, and so its hash is that of no other one."""
    number = photo.count = getattr(photo, "count", -1) + 1
    return {
        **{"path": path or f"{name}.jpg", "label": label, "split": split, "group": group},
        **dict.fromkeys(("x_min", "y_min", "x_max", "y_max"), np.nan),
        **{
            "origin": "",
            "time": np.nan,
            "annotated_width": 0,
            "annotated_height": 0,
            "image_id": name,
            "reason": reason,
            "note": "",
        },
        **{"width": 40, "height": 30, "phash": phash or FAR[number % 200], "orientation": 1},
    }


@pytest.fixture(autouse=True)
def _count_from_zero():
    photo.count = -1


def complete(rows, **changes):
    return manifest_rows.complete(pd.DataFrame(rows), SETTINGS.replace(**changes), corrections.none())


def split_of(made):
    """The split of each path."""
    return made.rows.set_index("path")["split"].to_dict()


def given(**counts):
    """Photos by label: `a={"train": 3}`; their names are `<label>_<split>_<n>`."""
    return [
        photo(f"{label}_{split}_{n}", label, split)
        for label, by_split in counts.items()
        for split, count in by_split.items()
        for n in range(count)
    ]


def test_given_splits_are_kept_exactly():
    by_split = {"train": 4, "val": 3, "test": 9}
    made = complete(given(a=by_split, b=by_split), val_share=0.5, test_share=0.1)
    assert all(path.split("_")[1] == split for path, split in split_of(made).items())
    assert len(made.rows) == 32 and made.leaks.empty and manifest_rows.check(made, SETTINGS) == []


@pytest.mark.parametrize(("missing", "other"), [("val", "test"), ("test", "val")])
def test_a_split_that_is_not_given_is_drawn_from_train(missing, other):
    made = complete(given(a={"train": 10, other: 5}, b={"train": 20, other: 5}))
    counts = made.rows.groupby(["label", "split"]).size().to_dict()
    # 0.2 of the 10 and 20 photos of train.
    assert counts == {
        **{("a", "train"): 8, ("a", missing): 2, ("a", other): 5},
        **{("b", "train"): 16, ("b", missing): 4, ("b", other): 5},
    }
    assert all(split == other for path, split in split_of(made).items() if f"_{other}_" in path)


def test_a_split_with_a_share_of_none_is_not_drawn_and_a_warning_says_so():
    settings = SETTINGS.replace(val_share=0.0)
    made = complete(given(a={"train": 5, "test": 2}, b={"train": 5, "test": 2}), val_share=0.0)
    assert made.rows["split"].value_counts().to_dict() == {"train": 10, "test": 4}
    assert manifest_rows.check(made, settings) == [
        "no photo is in val: training runs all epochs, and weights and temperature are not fitted; add photos, give "
        "some this split in the source, or raise ingest.val_share"
    ]


def test_without_test_photos_a_warning_says_so_and_classes_without_some_are_named():
    made = complete(given(a={"train": 5, "val": 2}, b={"train": 5}), test_share=0.0)
    texts = manifest_rows.check(made, SETTINGS)
    remedies = [
        f"add photos, give some this split in the source, or raise ingest.{name}_share" for name in ("val", "test")
    ]
    found = ["1 classes have no photo in val: b", "no photo is in test: nothing is evaluated"]
    assert texts == [f"{text}; {remedy}" for text, remedy in zip(found, remedies)]


def test_a_class_without_photos_in_train_is_an_error_that_names_it():
    made = complete(given(a={"train": 5, "val": 1, "test": 2}, b={"val": 3, "test": 3}, c={"test": 4, "train": 1}))
    with pytest.raises(IngestError, match="of each class in train, found none of b;"):
        manifest_rows.check(made, SETTINGS)


def test_photos_that_are_all_test_are_an_error():
    made = complete(given(a={"test": 4}, b={"test": 4}))
    with pytest.raises(IngestError, match="found none of a, b;"):
        manifest_rows.check(made, SETTINGS)


@pytest.mark.parametrize("order", [1, -1])
def test_of_copies_in_two_given_splits_that_in_test_is_kept_and_both_are_leaks(order):
    copies = [photo("x", "a", "train", path="train/a/1.jpg"), photo("x", "a", "test", path="ztest/a/1.jpg")]
    copies[1]["phash"] = copies[0]["phash"]
    made = complete([*given(a={"train": 4, "val": 2}, b={"train": 4, "val": 2, "test": 2}), *copies][::order])
    rows = made.rows.set_index("path")
    assert rows.loc["ztest/a/1.jpg", ["status", "split"]].tolist() == ["ok", "test"]
    assert rows.loc["train/a/1.jpg", ["status", "reason", "split"]].tolist() == ["rejected", "duplicate", ""]
    assert made.leaks[["path", "split"]].values.tolist() == [["ztest/a/1.jpg", "test"], ["train/a/1.jpg", "train"]]
    assert splits.count_leaks(made.leaks) == {"groups": 1, "photos": 2, "by_split": {"train": 1, "val": 0, "test": 1}}
    assert manifest_rows.count(made)["leaks"] == splits.count_leaks(made.leaks)


def test_copies_in_one_given_split_are_no_leak_also_where_their_photo_is_drawn_to_another():
    copy = photo("a_train_0", "a", "train", path="copy.jpg")
    for seed in range(20):
        rows = [*given(a={"train": 3, "val": 2}, b={"train": 3, "val": 2}), copy]
        rows[-1]["phash"] = next(row["phash"] for row in rows if row["image_id"] == "a_train_0")
        made = complete(rows, seed=seed)
        assert made.leaks.empty and "leaks" not in manifest_rows.count(made)


def test_copies_with_different_labels_across_splits_are_all_rejected():
    rows = given(a={"train": 4, "test": 2}, b={"train": 4, "test": 2})
    rows += [photo("x", "a", "train", path="1.jpg"), photo("x", "b", "test", path="2.jpg")]
    made = complete(rows)
    assert made.rows.set_index("path").loc[["1.jpg", "2.jpg"], "reason"].tolist() == ["conflicting_labels"] * 2
    assert made.leaks.empty


@pytest.mark.parametrize("kind", ["near_duplicate", "group"])
def test_near_duplicates_and_equal_groups_across_given_splits_are_leaks(kind):
    rows = given(a={"train": 4, "val": 2, "test": 2}, b={"train": 4, "val": 2, "test": 2})
    by_name = {row["image_id"]: row for row in rows}
    pair = by_name["a_train_0"], by_name["b_test_1"]
    if kind == "group":
        for row in pair:
            row["group"] = "one car"
    else:
        pair[1]["phash"] = near(pair[0]["phash"], 5)
    made = complete(rows)
    assert made.leaks["image_id"].tolist() == ["b_test_1", "a_train_0"]
    assert made.leaks["group"].tolist() == ["a_train_0"] * 2
    assert all(path.split("_")[1] == split for path, split in split_of(made).items())
    text = (
        "leaks: 2 photos have near-duplicates or photos of the same given group in another given split "
        "(number of such groups: 1), such as "
    )
    assert manifest_rows.check(made, SETTINGS) == [f"{text}b_test_1.jpg (test) and a_train_0.jpg (train)"]
    with pytest.raises(IngestError, match=r"leaks: 2 photos.*metrics/ingest/leaks\.csv") as caught:
        manifest_rows.check(made, SETTINGS.replace(leaks="error"))
    assert "\n" not in str(caught.value)


def test_a_photo_without_a_given_split_near_one_of_given_test_is_a_leak():
    rows = [*given(a={"test": 3}, b={"test": 3}), *(photo(f"{label}{n}", label) for label in "ab" for n in range(5))]
    next(row for row in rows if row["image_id"] == "a3")["phash"] = near(rows[0]["phash"], 9)
    made = complete(rows, val_share=0.0)
    assert made.leaks["image_id"].tolist() == ["a_test_0", "a3"]


def test_a_group_in_train_and_test_whose_train_part_is_drawn_to_val_is_a_leak():
    rows = given(a={"train": 3, "test": 1}, b={"train": 3, "test": 1})
    for row in rows:
        row["group"] = f"group of {row['label']}{row['image_id'][-1]}"
    made = complete(rows)
    # Photo 0 of train and photo 0 of test share a group, of both classes.
    assert sorted(made.leaks["path"]) == ["a_test_0.jpg", "a_train_0.jpg", "b_test_0.jpg", "b_train_0.jpg"]


def test_given_groups_keep_photos_together_also_joined_with_near_duplicates():
    rows = [photo(f"{label}{n}", label) for label in "ab" for n in range(8)]
    by_name = {row["image_id"]: row for row in rows}
    for name in ("a1", "a2", "b3"):
        by_name[name]["group"] = "car 7"
    by_name["a5"]["phash"] = near(by_name["a2"]["phash"], 3)
    by_name["b6"]["phash"] = near(by_name["a5"]["phash"], 40)
    for seed in range(10):
        made = complete(rows, seed=seed)
        together = made.rows[made.rows["image_id"].isin(["a1", "a2", "b3", "a5", "b6"])]
        assert set(together["group"]) == {"a1"} and together["split"].nunique() == 1
        assert made.leaks.empty and made.rows["group"].nunique() == 12


def test_groups_without_a_name_and_equal_names_in_any_text():
    rows = [photo(f"{label}{n}", label, group=name) for label in "ab" for n, name in enumerate(["", "", "1", "nan"])]
    made = complete(rows)
    groups = made.rows.set_index("image_id")["group"].to_dict()
    assert groups == {"a0": "a0", "b0": "b0", "a1": "a1", "b1": "b1", "a2": "a2", "b2": "a2", "a3": "a3", "b3": "a3"}


def test_three_photos_of_a_class_are_one_in_each_split():
    made = complete([photo(f"{label}{n}", label) for label in ("a", "b") for n in range(3)])
    assert made.rows.groupby("label")["split"].apply(sorted).tolist() == [["test", "train", "val"]] * 2
    assert manifest_rows.check(made, SETTINGS) == []


@pytest.mark.parametrize("has_given", [False, True])
def test_photos_to_predict_never_change_the_splits_of_others(has_given):
    labelled = [photo(f"n{label}{n}", label, "train" if has_given else "") for label in "ab" for n in range(10)]
    hashes = [row["phash"] for row in labelled]
    # Smaller ids than those of labelled photos; one is near two of these, each, and joins them.
    joining = near(near(near(hashes[0], 1), 2), 3)
    labelled[1]["phash"] = near(near(near(joining, 4), 5), 6)
    others = [photo("0", "", "unlabelled", phash=near(hashes[5], 7)), photo("1", "", "unlabelled", phash=joining)]
    others += [photo("m", "", "unlabelled"), photo("na3", "", "unlabelled", phash=hashes[3], path="copy.jpg")]
    for seed in range(10):
        alone, made = complete(labelled, seed=seed), complete(labelled + others, seed=seed)
        columns = ["image_id", "path", "group", "split", "status"]
        kept = made.rows[made.rows["split"] != "unlabelled"]
        pd.testing.assert_frame_equal(kept[columns].reset_index(drop=True), alone.rows[columns])
    rows = made.rows.set_index("path")
    assert rows.loc["copy.jpg", ["status", "reason", "split", "group"]].tolist() == [
        "rejected",
        "duplicate",
        "unlabelled",
        "",
    ]
    assert rows.loc[["0.jpg", "1.jpg", "m.jpg"], "group"].tolist() == ["0", "1", "m"]
    assert made.leaks.empty


def test_photos_to_predict_are_kept_whatever_labels_and_count_for_no_class():
    labelled = [photo(f"n{label}{n}", label) for label in "ab" for n in range(4)]
    others = [photo("x", "", "unlabelled"), photo("x", "", "unlabelled", path="copy.jpg")]
    others += [photo("", "", "unlabelled", reason="missing", path="gone.jpg")]
    made = complete(labelled + others)
    rows = made.rows[made.rows["split"] == "unlabelled"].set_index("path")
    assert rows[["status", "reason"]].T.to_dict("list") == {
        "gone.jpg": ["failed", "missing"],
        "copy.jpg": ["ok", ""],
        "x.jpg": ["rejected", "duplicate"],
    }
    assert manifest_rows.check(made, SETTINGS) == []
    assert manifest_rows.class_counts(made.rows)["photos"].sum() == 8
    assert manifest_rows.count(made)["split"]["unlabelled"] == 1


def test_dropped_classes_are_counted_and_no_class_is_missed():
    rows = [photo(f"n{label}{n}", label) for label in "ab" for n in range(4)]
    rows += [photo("", "", reason="dropped_class", path=f"tram/{n}.jpg") for n in range(2)]
    made = complete(rows)
    assert manifest_rows.count(made)["reason"] == {"dropped_class": 2}
    assert manifest_rows.count(made)["status"] == {"ok": 8, "rejected": 2}
    assert manifest_rows.check(made, SETTINGS) == []


def test_with_no_usable_photo_the_manifest_is_made_and_then_one_error():
    made = complete([photo("", "a", "train", reason="missing", path="1.jpg")])
    assert made.rows["status"].tolist() == ["failed"] and made.leaks.empty
    with pytest.raises(IngestError, match="two classes or more, found 0 usable photos of 0 classes in 1 files"):
        manifest_rows.check(made, SETTINGS)


@pytest.fixture
def project(tmp_path, monkeypatch, run):
    """A function that writes data/files.csv of photos with given splits and runs the stage."""
    monkeypatch.chdir(tmp_path)

    def call(names, **changes):
        rows = []
        for seed, name in enumerate(names):
            split, label = name.split("/")[:2]
            small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
            path = Path("photos", name)
            if not path.exists():
                archives.write(path, letterbox.resize(small, 40, 30))
            rows.append({"path": name, "label": label, "split": split})
        empty = {"group": "", "x_min": "", "y_min": "", "x_max": "", "y_max": "", "reason": ""}
        table = pd.DataFrame(rows).assign(**empty, origin="", time=np.nan, annotated_width=0, annotated_height=0)
        table["version"] = ["sha256:" + images.image_id(Path("photos", name).read_bytes()) for name in names]
        tables.write(Path("files.csv"), table[list(files.COLUMNS)])
        Path("params.yaml").write_text(json.dumps({"ingest": dict(SETTINGS.replace(**changes)) | {"columns": {}}}))
        run(
            ingest_stage,
            **{"params": "params.yaml", "files": "files.csv", "manifest": "manifest.csv", "leaks": "leaks.csv"},
            **{name: f"{name}.out" for name in ("classes", "metrics", "details", "class_counts", "cache", "shards")},
        )
        return pd.read_csv("manifest.csv", keep_default_na=False)

    return call


NAMES = [f"{split}/{label}/{n}.png" for split in ("train", "val", "test") for label in "ab" for n in range(3)]


def test_the_table_of_leaks_is_written_before_the_error(project, capsys):
    project(NAMES)
    assert pd.read_csv("leaks.csv").columns.tolist() == ["group", "split", "path", "label"]
    assert len(pd.read_csv("leaks.csv")) == 0 and "leaks" not in json.loads(Path("metrics.out").read_text())
    content = Path("photos/test/a/0.png").read_bytes()
    Path("photos/train/a/9.png").write_bytes(content)
    project([*NAMES, "train/a/9.png"])
    assert "ingest: leaks: 2 photos" in capsys.readouterr().err
    leaks = pd.read_csv("leaks.csv")
    name = images.image_id(content)
    assert leaks.values.tolist() == [[name, "test", "test/a/0.png", "a"], [name, "train", "train/a/9.png", "a"]]
    assert json.loads(Path("metrics.out").read_text()) == {"photos": 18, "leaks": 2}
    Path("leaks.csv").unlink()
    Path("manifest.csv").unlink()
    with pytest.raises(IngestError, match="leaks: 2 photos"):
        project([*NAMES, "train/a/9.png"], leaks="error")
    assert pd.read_csv("leaks.csv").equals(leaks) and Path("manifest.csv").is_file()


@pytest.mark.parametrize(
    ("hashes", "given_groups", "expected"),
    [
        ("0f0", ["", "", ""], [{0, 2}, {1}]),
        ("0f0", ["g", "g", ""], [{0, 1, 2}]),
        ("0fa", ["g", "", "g"], [{0, 2}, {1}]),
        ("0fa5", ["g", "h", "g", "h"], [{0, 2}, {1, 3}]),
        ("0f0f", ["g", "", "", "g"], [{0, 1, 2, 3}]),
        ("0fa", [" ", "", ""], [{0}, {1}, {2}]),
        ("", [], []),
    ],
)
def test_hashes_and_given_groups_join_photos(hashes, given_groups, expected):
    numbers = duplicates.groups([digit * 16 for digit in hashes], 3, given_groups)
    members = {}
    for index, number in enumerate(numbers.tolist()):
        members.setdefault(number, set()).add(index)
    assert sorted(members.values(), key=min) == expected and numbers.dtype == np.int64
