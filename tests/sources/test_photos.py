from pathlib import Path

import pytest

from stages.images.images import ImageError, image_id
from stages.sources.photos import Photos, require_reachable
from stages.sources.settings import SourceSettings
from stages.sources.store import SourceError


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Folders that each have a file 1.jpg with the name of the folder as its bytes, and tables without rows."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "new", "tables"):
        Path(name).mkdir()
        Path(name, "1.jpg").write_bytes(name.encode())
        Path(name, "list.csv").write_bytes(b"path\n")


def load(split="train", image="", **settings):
    return Photos(SourceSettings(**settings)).load("1.jpg", image, split).decode()


def test_each_split_is_read_from_its_source():
    for split in ("train", "val", "test", ""):
        assert load(split, source="photos", unlabelled="new") == "photos"
    assert load("unlabelled", source="photos", unlabelled="new") == "new"
    assert load("unlabelled", source="photos") == "photos"


@pytest.mark.parametrize(
    ("source", "unlabelled", "root", "expected"),
    [
        ("tables/list.csv", "new/list.csv", None, ("tables", "new")),
        ("tables/list.csv", "new/list.csv", "photos", ("photos", "photos")),
        ("tables/list.csv", "new", "photos", ("photos", "new")),
        ("tables", "new/list.csv", "photos", ("tables", "photos")),
        ("tables", "new", "photos", ("tables", "new")),
    ],
)
def test_the_root_is_that_of_tables_only(source, unlabelled, root, expected):
    options = {"source": source, "unlabelled": unlabelled, "root": root}
    assert (load(**options), load("unlabelled", **options)) == expected


def test_bytes_that_are_not_those_of_the_id_are_refused_and_the_number_of_an_object_is_no_part_of_it():
    name = image_id(b"photos")
    assert load(image=name, source="photos") == load(image=f"{name}-3", source="photos") == "photos"
    with pytest.raises(ImageError, match="changed"):
        load(image=image_id(b"new"), source="photos")


def test_sources_are_opened_when_they_are_read():
    photos = Photos(SourceSettings(source="photos", unlabelled="nowhere"))
    assert photos.load("1.jpg", "", "test") == b"photos"
    assert photos.store("train") is photos.store("test")
    with pytest.raises(SourceError, match="nowhere"):
        photos.load("1.jpg", "", "unlabelled")


@pytest.mark.parametrize(
    ("source", "unlabelled", "is_remote"),
    [("a", None, False), ("s3://a", None, True), ("a", "s3://b", True), ("a", "b", False)],
)
def test_a_server_is_read_in_more_threads(source, unlabelled, is_remote):
    threads = Photos(SourceSettings(source=source, unlabelled=unlabelled)).threads
    assert (threads is not None) == is_remote


@pytest.mark.parametrize(
    ("source", "unlabelled", "reasons", "named"),
    [
        # 1 of 100 is not more than 1 %.
        ("s3://bucket/a", None, {"train": ["unreadable"] + [""] * 99}, None),
        ("s3://bucket/a", None, {"train": ["unreadable"] * 2 + [""] * 98}, "s3://bucket/a"),
        ("s3://bucket/a", None, {"train": ["truncated"] * 100}, None),
        ("photos", None, {"train": ["unreadable"] * 100}, None),
        # The sources count apart.
        ("photos", "s3://bucket/b", {"train": [""] * 100, "unlabelled": ["unreadable"]}, "s3://bucket/b"),
        ("s3://bucket/a", "others", {"train": [""] * 100, "unlabelled": ["unreadable"] * 100}, None),
        ("s3://bucket/a", None, {}, None),
    ],
)
def test_an_outage_of_a_server_stops_the_run(source, unlabelled, reasons, named):
    settings = SourceSettings(source=source, unlabelled=unlabelled)
    splits = [split for split, own in reasons.items() for _ in own]
    given = [reason for own in reasons.values() for reason in own]
    if named is None:
        require_reachable(settings, splits, given)
    else:
        with pytest.raises(SourceError, match=f"^{named}: expected at most 1% .*run `dvc repro` again$"):
            require_reachable(settings, splits, given)
