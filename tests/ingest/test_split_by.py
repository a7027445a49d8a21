"""Splits by time and by origin through scan and ingest, on a few small photos."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from stages.ingest import __main__ as ingest_stage
from stages.ingest.errors import IngestError, SplitError
from stages.ingest.inspection import inspect_file
from stages.scan import __main__ as scan_stage
from stages.scan.rows import LayoutError
from stages.sources.store import open_store
from tests import archives

KEYS = {"seed": 1, "val_share": 0.2, "test_share": 0.2, "near_duplicate_bits": 3, "min_photos_per_class": 2}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stage(run):
    """A function that runs `scan` and `ingest` from the command line; it returns splits by path, and the counts."""

    def call(source="photos", **changes):
        Path("params.yaml").write_text(json.dumps({"ingest": {"source": source, **KEYS, **changes}}))
        run(scan_stage, params="params.yaml", files="files.csv", cache="hashes", details="scan.json")
        names = {name: f"{name}.json" for name in ("metrics", "details", "shards")}
        names |= {name: f"{name}.csv" for name in ("manifest", "leaks", "class_counts")}
        run(ingest_stage, params="params.yaml", files="files.csv", cache="inspections", classes="classes.txt", **names)
        rows = pd.read_csv("manifest.csv", keep_default_na=False)
        return dict(zip(rows["path"], rows["split"])), json.loads(Path("details.json").read_text())

    return call


def image(seed):
    """A smooth random image; those of different seeds are no near-duplicates."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((40, 30)))


def write_photos(paths, root="photos"):
    for seed, path in enumerate(paths):
        archives.write(Path(root, path), image(seed))


def write_taken(path, seed, taken):
    """Write a JPEG whose EXIF data have `taken` as DateTimeOriginal, if it is not empty."""
    exif = Image.Exif()
    exif[ExifTags.Base.DateTime] = "2030:01:01 00:00:00"  # of the last change: not to be read
    if taken:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    content = io.BytesIO()
    Image.fromarray(image(seed)).save(content, "JPEG", exif=exif, quality=95)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content.getvalue())


PATHS = [f"{label}/{n}.png" for label in "ab" for n in range(5)]


def write_table(text, *columns):
    lines = [f"{path},{path[0]},{rest}" for path, rest in zip(PATHS, text.split())]
    Path("photos.csv").write_text("\n".join([",".join(["path", "label", *columns]), *lines]) + "\n")


def by_letter(splits, paths=PATHS):
    return "".join(splits[path][1] for path in paths)


def test_by_the_time_of_a_column_the_newest_photos_are_test(stage, capsys):
    write_photos(PATHS)
    write_table("2011 2012 2013 2014 2015 2011 2012 2013 2014 2015", "year")
    found, details = stage("photos.csv", root="photos", split_by="time", columns={"time": "year"})
    assert by_letter(found) == "rrrae" * 2
    assert details["split_by"] == "time" and details["without_time"] == 0
    assert "have no time" not in capsys.readouterr().err
    assert stage("photos.csv", root="photos", columns={"time": "year"})[0] == found
    at_random, details = stage("photos.csv", root="photos", split_by="random", columns={"time": "year"})
    assert at_random == stage("photos.csv", root="photos")[0] != found and details["split_by"] == "random"


def test_photos_without_a_time_are_in_train_and_counted(stage, capsys):
    write_photos(PATHS)
    write_table("2011, 2012, 2013, 2014, 2015, 2011, 2012, , , ,", "year", "x")
    found, details = stage("photos.csv", root="photos", split_by="time", columns={"time": "year"})
    assert details["without_time"] == 3
    assert "ingest: 3 photos have no time: they are in train" in capsys.readouterr().err
    assert by_letter(found) == "rrrae" + "rrrrr"


def test_a_car_whose_photos_have_different_times_is_as_new_as_its_newest_photo(stage):
    write_photos(PATHS)
    write_table("2011,car 2012, 2013, 2014, 2015,car 2011, 2012, 2013, 2014, 2012,", "year", "group")
    found, details = stage("photos.csv", root="photos", split_by="time", columns={"time": "year"})
    assert by_letter(found) == "errae" + "rrrar" and details["in_given_groups"] == 2


def test_near_duplicates_and_given_groups_are_united_by_way_of_each_other(stage):
    # a/0 and a/1 are one car, a/1 and b/0 look alike, b/0 and b/1 are one car: all four are as new as b/1.
    write_photos(PATHS)
    enlarged = Image.fromarray(image(1)).resize((80, 60))
    enlarged.save("photos/b/0.png")
    write_table("1,car 1,car 3, 4, 5, 1,other 9,other 3, 4, 5,", "age", "group")
    found, _ = stage("photos.csv", root="photos", split_by="time", columns={"time": "age"}, val_share=0.0)
    assert by_letter(found) == "eerrr" + "eerrr"
    apart = {"time": "age", "group": None}
    found, _ = stage("photos.csv", root="photos", split_by="time", columns=apart, near_duplicate_bits=0, val_share=0.1)
    # Nothing joins them: b/1, of age 9, is test, and to make two, both of age 5; those of age 4 are val.
    assert by_letter(found) == "rrrae" + "rerae"


def test_a_class_whose_photos_are_all_new_is_an_error_that_names_it(stage):
    write_photos(PATHS)
    write_table("2011 2012 2013 2014 2015 2020 2020 2020 2020 2020", "year")
    with pytest.raises(IngestError, match=r"in train, found none of b; .*later than those of train"):
        stage("photos.csv", root="photos", split_by="time", columns={"time": "year"}, val_share=0.0)


def test_of_a_folder_the_time_is_that_of_exif_data(stage):
    times = ["2021:01:01 10:00:00", "2021:01:02 10:00:00", "2021:01:03 10:00:00", "0000:00:00 00:00:00", ""]
    paths = [f"{label}/{n}.jpg" for label in "ab" for n in range(5)]
    for seed, path in enumerate(paths):
        write_taken(f"photos/{path}", seed, times[seed % 5])
    found, details = stage(split_by="time")
    # Two of the six with a time are on each day; 1.2 are wanted for test, and as many for val.
    assert by_letter(found, paths) == "raerr" * 2
    assert details["split_by"] == "time" and details["without_time"] == 4
    assert stage()[1]["split_by"] == "random"
    again, _ = stage(split_by="time")  # From the cache.
    assert again == found


@pytest.mark.parametrize(
    ("taken", "seconds"),
    [
        ("1970:01:02 00:00:01", 86401),
        ("1970:01:02 00:00:01\0", 86401),
        ("    :  :     :  :  ", None),
        ("2021:13:01 10:00:00", None),
        ("2021-01-01 10:00:00", None),
        ("2021:01:01", None),
        ("9" * 999, None),
        ("", None),
    ],
)
def test_what_is_no_time_in_exif_data_is_none(taken, seconds):
    write_taken("photos/a.jpg", 1, taken)
    info = inspect_file(open_store("photos", Path("hashes")), "a.jpg", "")
    assert info.reason == "" and (math.isnan(info.exif_time) if seconds is None else info.exif_time == seconds)


def test_exif_data_that_cannot_be_read_are_no_time():
    write_taken("photos/a.jpg", 1, "2021:01:01 10:00:00")
    content = Path("photos/a.jpg").read_bytes()
    for damaged in (
        content.replace(b"2021:01:01", b"\xff\xfe\x00\x80:01:01"),
        content.replace(b"Exif\0\0MM", b"Exif\0\0XX"),
    ):
        assert damaged != content
        Path("photos/a.jpg").write_bytes(damaged)
        info = inspect_file(open_store("photos", Path("hashes")), "a.jpg", "")
        assert info.reason == "" and math.isnan(info.exif_time)


def test_without_exif_data_a_split_by_time_is_one_line(stage):
    write_photos(PATHS)
    with pytest.raises(SplitError, match=r"found none for any photo; .*EXIF data"):
        stage(split_by="time")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_by_the_origin_of_a_column_whole_dealers_are_test(stage, seed):
    write_photos(PATHS)
    write_table("x y z v w x y z v w", "dealer")
    found, details = stage("photos.csv", root="photos", split_by="origin", columns={"origin": "dealer"}, seed=seed)
    pairs = by_letter(found)
    assert pairs[:5] == pairs[5:] and sorted(pairs[:5]) == sorted("aerrr")
    assert details | {"origins": 5, "joined_origins": 0, "without_origin": 0, "split_by": "origin"} == details


def test_the_origin_is_a_folder_by_a_pattern_and_a_dealer_with_a_whole_class_trains(stage, capsys):
    paths = [f"{origin}/{label}/{n}.png" for origin in "xyz" for label in "ab" for n in range(2)]
    paths += ["only/c/1.png", "only/c/2.png", "only/c/3.png"]
    write_photos(paths)
    found, _ = stage(layout="{origin}/{label}/*", split_by="origin")
    by_origin = {origin: {split for path, split in found.items() if path.startswith(origin)} for origin in "xyzo"}
    assert by_origin.pop("o") == {"train"} and sorted(map(sorted, by_origin.values())) == [["test"], ["train"], ["val"]]
    assert "1 classes have no photo in test: c" in capsys.readouterr().err


def test_dealers_that_show_the_same_photo_share_a_split(stage, capsys):
    paths = [f"{origin}/{label}/{n}.png" for origin in "wxyz" for label in "ab" for n in range(2)]
    write_photos(paths)
    Image.fromarray(image(0)).resize((80, 60)).save("photos/z/b/copy.png")  # looks like w/a/0.png
    found, details = stage(layout="{origin}/{label}/*", split_by="origin")
    assert {found[path] for path in found if path[0] in "wz"} == {found["w/a/0.png"]}
    assert details["joined_origins"] == 2 and "ingest: 2 origins share near-duplicates" in capsys.readouterr().err


def test_groups_of_folders_are_one_car_each_and_a_repeated_name_is_refused(stage):
    paths = [f"{label}/{car}/{n}.png" for label in "ab" for car in ("01", "02", "03", "04", "05") for n in range(2)]
    write_photos(paths)
    with pytest.raises(LayoutError, match="the group 01 of a and of b can be read in two ways"):
        stage(layout="{label}/{group}/**")
    found, details = stage(layout="{label}/{label_group}/**")
    by_car = pd.Series(found).groupby([path[:4] for path in found]).unique()
    assert (by_car.str.len() == 1).all() and by_car.str[0].value_counts().to_dict() == {"train": 6, "val": 2, "test": 2}
    assert details["near_duplicate_groups"] == 10 and details["in_given_groups"] == 20
    folds = [stage(layout="{label}/{label_group}/**", folds=5, fold=fold)[0] for fold in range(5)]
    assert all(sum(fold[path] == "test" for fold in folds) == 1 for path in paths)
    assert all(fold[path] == fold[path[:5] + "0.png"] for fold in folds for path in paths)


def test_by_default_origins_and_times_change_nothing(stage):
    paths = [f"{label}/{origin}/{n}.png" for label in "ab" for origin in "xy" for n in range(4)]
    write_photos(paths)
    plain, details = stage(layout="{label}/**")
    content = Path("manifest.csv").read_bytes()
    assert details["split_by"] == "random" and details["in_given_groups"] == 0 and "origins" not in details
    assert stage(layout="{label}/{origin}/*", split_by="random")[0] == plain
    assert Path("manifest.csv").read_bytes() == content


def test_what_auto_means_is_what_the_source_gives_and_both_are_refused(stage):
    paths = [
        f"{year}/{label}/{origin}_{n}.png" for year in (1, 2) for label in "ab" for origin in "xyz" for n in (1, 2)
    ]
    write_photos(paths)
    assert stage(layout="{time}/{label}/*", val_share=0.0)[1]["split_by"] == "time"
    assert stage(layout="*/{label}/{origin}_*")[1]["split_by"] == "origin"
    both = "{time}/{label}/{origin}_*"
    with pytest.raises(SplitError, match=r"found both: set it to time .* or to origin"):
        stage(layout=both)
    found, _ = stage(layout=both, split_by="time", val_share=0.0)
    assert {split for path, split in found.items() if path[0] == "2"} == {"test"}
    found, _ = stage(layout=both, split_by="origin")
    assert pd.Series(found).groupby([path[4] for path in found]).nunique().tolist() == [1, 1, 1]


def test_given_splits_beside_origins_are_refused_with_both_readings(stage):
    paths = [f"{split}/{label}/{n}.png" for split in ("train", "val", "test") for label in "ab" for n in (1, 2)]
    write_photos(paths)
    with pytest.raises(SplitError, match=r"either the given splits count, or the origins; .*split_by: random"):
        stage(layout="{split}/{label}/{origin}.*")
    found, _ = stage(layout="{split}/{label}/{origin}.*", split_by="random")
    assert all(path.startswith(split) for path, split in found.items())
