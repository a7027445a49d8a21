import re
import time
import unicodedata

import pytest

from stages.scan import patterns
from stages.scan.rows import LayoutError


def read(paths, pattern):
    rows = patterns.read_pattern(paths, pattern)
    return rows[["label", "split", "group"]].values.tolist()


def labels(paths, pattern):
    return patterns.read_pattern(paths, pattern)["label"].tolist()


def refusal(paths):
    with pytest.raises(LayoutError) as caught:
        patterns.guess_pattern(paths)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["bus/1.jpg", "car/1.jpg"], "{label}/**"),
        (["train/bus/1.jpg", "train/car/1.jpg", "val/bus/2.jpg", "test/car/2.jpg"], "{split}/{label}/**"),
        (["Train/bus/1.jpg", "VALID/car/1.jpg", "testing/bus/2.jpg"], "{split}/{label}/**"),
        (["train/bus/1.jpg", "test/bus/2.jpg", "test/car/3.jpg"], "{split}/{label}/**"),
        (["train/bus/1.jpg", "train/car/1.jpg"], "{split}/{label}/**"),
        (["bus/side/1.jpg", "car/side/1.jpg"], "{label}/**"),
        (["bus/side/1.jpg", "car/2.jpg"], "{label}/**"),
        (["bus/1.jpg", "bus/side/2.jpg", "car/1.jpg", "car/rear/2.jpg"], "{label}/**"),
        (["train/bus/side/1.jpg", "test/car/side/1.jpg"], "{split}/{label}/**"),
        (["cars/bus/1.jpg", "cars/van/1.jpg"], "*/{label}/**"),
        (["data/cars/bus/1.jpg", "data/cars/van/1.jpg"], "*/*/{label}/**"),
        (["data/train/bus/1.jpg", "data/test/van/1.jpg"], "*/{split}/{label}/**"),
        (["cars/bus/1.jpg", "cars/van/1.jpg", "cover.jpg", "cars/cover.jpg"], "*/{label}/**"),
        (["bus/1.jpg", "car/1.jpg", "train/1.jpg"], "{label}/**"),
        (["bus/1.jpg", "car/1.jpg", "stray.jpg"], "{label}/**"),
        (["bus/1.jpg"], "{label}/**"),
        (["bus/one", "car/two"], "{label}/**"),
        (["train/bus/1.jpg", "test/1.jpg"], "{split}/{label}/**"),
    ],
)
def test_folders_that_have_one_reading(paths, expected):
    assert patterns.guess_pattern(paths) == expected
    assert patterns.guess_pattern(reversed(paths)) == expected
    others = ["README.txt", "labels.csv", "Thumbs.db", f"{paths[0].rpartition('/')[0]}/Thumbs.db", "docs/a/b/notes.txt"]
    assert patterns.guess_pattern([*others, *paths]) == expected


@pytest.mark.parametrize(
    ("paths", "readings"),
    [
        (
            ["audi/a3/1.jpg", "audi/a4/1.jpg", "bmw/x1/1.jpg"],
            ["`{label}/**`", "`*/{label}/**`", "2 classes", "3 classes"],
        ),
        (["bus/train/1.jpg", "bus/test/2.jpg", "car/train/1.jpg"], ["`{label}/**`", "`{label}/{split}/**`"]),
        (["train/1.jpg", "test/2.jpg"], ["`{label}/**`", "`table`"]),
        (["train/bus/1.jpg", "test/bus/2.jpg", "extra/bus/3.jpg"], ["`{label}/**`", "`{split}/{label}/**`", "extra"]),
        (["train/1.jpg", "test/2.jpg", "extra/3.jpg"], ["`{label}/**`", "`{split}/{label}/**`", "extra"]),
        (["train/bus/1.jpg", "car/1.jpg"], ["`{label}/**`", "`{split}/{label}/**`", "car"]),
        # The outer folders are part of both readings: without them the pattern would make them the classes.
        (["train/audi/a3/1.jpg", "test/bmw/x1/1.jpg"], ["`{split}/{label}/**`", "`{split}/*/{label}/**`"]),
        (["cars/audi/a3/1.jpg", "cars/bmw/x1/1.jpg"], ["`*/{label}/**`", "`*/*/{label}/**`"]),
        (["cars/bus/train/1.jpg", "cars/van/test/1.jpg"], ["`*/{label}/**`", "`*/{label}/{split}/**`"]),
        (["data/train/1.jpg", "data/test/1.jpg"], ["`*/{label}/**`", "`table`"]),
        # One photo beside the folders does not decide.
        (["audi/cover.jpg", "audi/a3/1.jpg", "bmw/x1/1.jpg"], ["`{label}/**`", "`*/{label}/**`"]),
    ],
)
def test_folders_that_have_two_readings_are_refused_with_both(paths, readings):
    message = refusal(paths)
    assert "two ways: set ingest.layout to" in message
    for reading in readings:
        assert reading in message


@pytest.mark.parametrize(
    "paths",
    [
        ["train/audi/a3/1.jpg", "test/bmw/x1/1.jpg"],
        ["cars/audi/a3/1.jpg", "cars/bmw/x1/1.jpg"],
        ["cars/bus/train/1.jpg", "cars/van/test/1.jpg"],
        ["audi/a3/1.jpg", "bmw/x1/1.jpg"],
        ["bus/train/1.jpg", "bus/test/2.jpg", "car/train/1.jpg"],
        ["cars/train/1/1.jpg", "cars/test/1/1.jpg", "cars/x/y/1.jpg"],
    ],
)
def test_each_reading_of_a_refusal_can_be_read_and_gives_labels(paths):
    offered = [text for text in re.findall(r"`(.*?)`", refusal(paths)) if "{label}" in text]
    assert len(offered) == 2
    for pattern in offered:
        kept = [path for path in paths if not path.startswith("cars/x/")] if "{split}" in pattern else paths
        assert all(labels(kept, pattern)), pattern


def test_photos_without_folders_are_an_error_that_says_what_to_do():
    message = refusal(["a_1.jpg", "b_2.jpg", "README.txt"])
    assert "found 2 photos without a folder" in message and "ingest.layout" in message and "path,label" in message
    assert "found no file that can be read" in refusal([])


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("{label}/**", "bus/1.jpg", ["bus", "", ""]),
        ("{label}/**", "bus/a/b/1.jpg", ["bus", "", ""]),
        ("{label}/**", "1.jpg", ["", "", ""]),
        ("{split}/{label}/**", "Train/bus/a/1.jpg", ["bus", "train", ""]),
        ("{split}/{label}/**", "VALID/bus/1.jpg", ["bus", "val", ""]),
        ("{split}/{label}/**", "testing/bus/1.jpg", ["bus", "test", ""]),
        ("{split}/{label}/**", "train/1.jpg", ["", "", ""]),
        ("*/{label}/*", "cars/bus/1.jpg", ["bus", "", ""]),
        ("*/{label}/*", "cars/bus/side/1.jpg", ["", "", ""]),
        ("{label}/{label}/*", "audi/a3/1.jpg", ["audi/a3", "", ""]),
        ("{label}/{label}/*", "audi/1.jpg", ["", "", ""]),
        ("{label}_*", "Abyssinian_cat_12.jpg", ["Abyssinian_cat", "", ""]),
        ("{label}_*", "folder/Abyssinian_12.jpg", ["", "", ""]),
        ("**/{label}_*", "a/b/Abyssinian_12.jpg", ["Abyssinian", "", ""]),
        ("**/{label}_*", "Abyssinian_12.jpg", ["Abyssinian", "", ""]),
        ("{label}/{group}/*", "bus/video 7/1.jpg", ["bus", "", "video 7"]),
        ("{label}/**/{group}_*", "bus/x/y/v1_2.jpg", ["bus", "", "v1"]),
        ("**", "bus/1.jpg", ["", "", ""]),
        ("{label}/**", "a.b (c)+[d]*$^|\\w/1.jpg", ["a.b (c)+[d]*$^|\\w", "", ""]),
        ("{label} (old)/*", "bus (old)/1.jpg", ["bus", "", ""]),
        ("a.c/{label}/*", "abc/bus/1.jpg", ["", "", ""]),
        ("{label}/**", "  Škoda 日本 🚗 /è.jpg", ["  Škoda 日本 🚗 ", "", ""]),
        ("{label}/**", unicodedata.normalize("NFD", "Käfer/1.jpg"), [unicodedata.normalize("NFD", "Käfer"), "", ""]),
        ("{label}/**", "two\nlines/a\nb.jpg", ["two\nlines", "", ""]),
    ],
)
def test_label_split_and_group_of_a_path(pattern, path, expected):
    rows = patterns.parse([path], pattern)
    assert rows.loc[0, ["label", "split", "group"]].tolist() == expected
    assert rows["path"][0] == path and (rows["reason"] == "").all() and rows["x_min"].isna().all()


@pytest.mark.parametrize(
    ("pattern", "path", "group", "origin"),
    [
        ("{label}/{label_group}/*", "bus/01/1.jpg", "bus/01", ""),
        ("{label}/{label}/{label_group}/*", "audi/a3/01/1.jpg", "audi/a3/01", ""),
        ("{label}/{shared_group}/*", "bus/01/1.jpg", "01", ""),
        ("{group}/{label}/*", "01/bus/1.jpg", "01", ""),
        ("{label}/{group}/**", "bus/01/a/b/1.jpg", "01", ""),
        ("{label}/{group}/**", "bus/1.jpg", "", ""),
        ("{origin}/{label}/{group}/*", "dealer/bus/01/1.jpg", "01", "dealer"),
        ("{label}/{origin}_*", "bus/anna_1.jpg", "", "anna"),
        ("{split}/{label}/{origin}/{label_group}_*", "train/bus/anna/car7_1.jpg", "bus/car7", "anna"),
    ],
)
def test_group_and_origin_of_a_path(pattern, path, group, origin):
    rows = patterns.parse([path], pattern)
    assert rows.loc[0, ["group", "origin"]].tolist() == [group, origin]


def test_a_group_of_one_name_below_two_labels_is_refused_with_both_readings():
    paths = ["bus/01/1.jpg", "bus/01/2.jpg", "car/01/1.jpg", "van/02/1.jpg"]
    with pytest.raises(LayoutError) as caught:
        patterns.read_pattern(paths, "{label}/{group}/*")
    assert str(caught.value) == (
        "the group 01 of bus and of car can be read in two ways: set ingest.layout to `{label}/{label_group}/*` "
        "(a group of its own in each label, such as one car) or `{label}/{shared_group}/*` (one group across labels, "
        "such as one video or one photographer)"
    )
    for name, expected in (("label", ["bus/01", "bus/01", "car/01", "van/02"]), ("shared", ["01", "01", "01", "02"])):
        rows = patterns.read_pattern(paths, f"{{label}}/{{{name}_group}}/*")
        assert rows["group"].tolist() == expected and rows["label"].tolist() == ["bus", "bus", "car", "van"]
    # Above the labels, and across splits, a name means one thing.
    assert patterns.read_pattern(["01/bus/1.jpg", "01/car/1.jpg"], "{group}/{label}/*")["group"].tolist() == ["01"] * 2
    split = patterns.read_pattern(["train/bus/01/1.jpg", "test/bus/01/2.jpg"], "{split}/{label}/{group}/*")
    assert split["group"].tolist() == ["01", "01"]


def test_a_folder_that_should_be_a_split_is_an_error_that_names_it():
    with pytest.raises(LayoutError, match=r"^trian/bus/1\.jpg: .*`\{split\}/\{label\}/\*\*`, found `trian`"):
        patterns.read_pattern(["train/bus/1.jpg", "trian/bus/1.jpg"], "{split}/{label}/**")


def test_other_files_in_a_folder_that_is_no_split_have_no_label():
    paths = ["train/bus/1.jpg", "docs/a/notes.txt", "README.txt"]
    assert read(paths, "{split}/{label}/**") == [["bus", "train", ""], ["", "", ""], ["", "", ""]]


@pytest.mark.parametrize("pattern", ["{label}/x/*", "{label}_*", "Bus/{label}/*"])
def test_a_pattern_that_no_path_matches_is_an_error_that_shows_one(pattern):
    with pytest.raises(LayoutError) as caught:
        patterns.read_pattern(["bus/1.jpg", "car/2\n.jpg"], pattern)
    assert f"`{pattern}`" in str(caught.value) and "'bus/1.jpg'" in str(caught.value)


def test_without_paths_there_are_no_rows():
    rows = patterns.read_pattern([], "{split}/{label}/**")
    assert len(rows) == 0 and {"path", "label", "split", "group", "reason", "x_min"} <= set(rows.columns)


@pytest.mark.parametrize("name", ["{label}/**", "{split}/{label}/**", "**/{label}/**/{group}_*"])
def test_a_hundred_thousand_paths_and_long_names_are_read_in_seconds(name):
    paths = [f"train/class {n % 500}/x/video_{n}.jpg" for n in range(100_000)]
    paths += ["_" * 255, "train/" + "a/" * 1000 + "b" * 200]
    begin = time.perf_counter()
    rows = patterns.read_pattern(paths, name)
    assert time.perf_counter() - begin < 10 and len(rows) == len(paths)
