import os
import threading

import pytest

from stages.images.images import ImageError
from stages.sources.store import (
    ListedFile,
    SourceError,
    is_url,
    listing,
    load_many,
    open_store,
    photo_id,
    resolve,
    screen,
    split_archive,
)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a/1.jpg", ""), ("a b/é%+.jpg", ""), ("a\\b", ""), ("a:b/1.jpg", ""), ("...", ""), ("a/", ""),
        ("../x", "outside"), ("a/../x", "outside"), ("/x", "outside"), ("//x", "outside"), ("C:/x", "outside"),
        ("a//b", "bad_name"), ("a/./b", "bad_name"), ("", "bad_name"), ("a//", "bad_name"), ("a\0b", "bad_name"),
    ],
)  # fmt: skip
def test_paths_that_cannot_be_used(path, reason):
    assert screen(path) == reason


def test_a_listing_is_sorted_and_has_empty_folders_and_reasons():
    files = {"b/1.jpg": "", "a/2.jpg": "missing", ".x/1.jpg": "", "../y.jpg": "", "c//d.jpg": ""}
    found = listing(files.items(), ["a", "b", "e", "e/f", ".x", "g/h", "c"])
    assert found == [
        ListedFile("../y.jpg", "outside"), ("a/2.jpg", "missing"), ("b/1.jpg", ""), ("c//d.jpg", "bad_name"),
        ("e/f/", "empty_folder"), ("g/h/", "empty_folder"),
    ]  # fmt: skip
    assert listing([], []) == []


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("cars.zip", ("cars.zip", "")), ("cars.ZIP/", ("cars.ZIP", "")),
        ("a/cars.tar.gz/b c/d", ("a/cars.tar.gz", "b c/d")),
        ("s3://cars/x.tgz/b", ("s3://cars/x.tgz", "b")), ("a.zip/b.zip", ("a.zip", "b.zip")), ("photos", None),
        ("zip/cars", None), ("cars.zip2", None), ("folder.zip/a", None), ("", None),
    ],
)  # fmt: skip
def test_archives_in_a_source(source, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.zip").mkdir()
    assert split_archive(source) == parts


def test_urls():
    assert is_url("s3://cars") and is_url("https://x/y") and not is_url("photos/s3:/x") and not is_url("C:/x")


@pytest.mark.parametrize("clone", ["tmpabc", "standalone/tmpabc", "tmpabc/sub/folder"])
def test_in_a_clone_of_an_experiment_the_photos_of_the_project_are_taken(tmp_path, monkeypatch, clone):
    project = tmp_path / "project"
    folder = project / ".dvc" / "tmp" / "exps" / clone
    for path in (project / "photos" / "a", project / "both", folder / "both"):
        path.mkdir(parents=True)
    (project / "cars.zip").write_bytes(b"")
    (project / "photos" / "a" / "1.jpg").write_bytes(b"abc")
    monkeypatch.chdir(folder)
    assert resolve("photos") == str(project / "photos") and resolve("cars.zip/a") == str(project / "cars.zip/a")
    for source in ("both", "none", "s3://cars/photos", str(tmp_path / "none"), "none.zip/a"):
        assert resolve(source) == source
    assert open_store("photos").list_files() == [("a/1.jpg", "")]
    monkeypatch.chdir(project)
    assert resolve("photos") == "photos" and open_store("photos").root == "photos"


def test_outside_a_clone_a_missing_source_stays_as_it_is(tmp_path, monkeypatch):
    folder = tmp_path / ".dvc" / "tmp"
    folder.mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(folder)
    assert resolve("photos") == "photos"


@pytest.mark.parametrize("source", ["nowhere", "nowhere/list.csv", "nowhere.zip", "nowhere.tgz/a", "file:///nowhere"])
def test_a_missing_source_is_an_error_of_one_line(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"nowhere.*: expected .*found nothing; .*not in a clone.*`dvc add") as caught:
        open_store(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["list.csv", "annotations.json", "photo.jpg"])
def test_a_file_stands_for_its_folder(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)
    for source in (name, str(tmp_path / name), f"file://{tmp_path / name}"):
        assert open_store(source).list_files() == [(name, "")]


@pytest.mark.parametrize("name", ["pipe", "pipe.zip", "pipe.tar"])
def test_a_pipe_as_source_is_an_error_and_does_not_block(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(SourceError, match="found a pipe or a device"):
        open_store(str(tmp_path / name))


def test_the_id_of_a_photo():
    assert photo_id("0123456789abcdef") == photo_id("0123456789abcdef-2") == "0123456789abcdef"


class Slow:
    """A store whose first file arrives only after the third was asked for, and whose second cannot be read."""

    root = "slow"

    def __init__(self):
        self.asked = threading.Event()

    def load(self, path, expected_id=None):
        if path == "1":
            assert self.asked.wait(10)
        if path == "2":
            raise ImageError("unreadable", "2: no answer in time")
        if path == "3":
            self.asked.set()
        return f"{path} {expected_id}".encode()


def test_files_are_read_ahead_and_come_in_order():
    found = list(load_many(Slow(), [("1", None), ("2", None), ("3", "x"), ("4", None)], ahead=3))
    assert [path for path, _ in found] == ["1", "2", "3", "4"]
    assert [content for _, content in found[::2]] == [b"1 None", b"3 x"] and found[1][1].reason == "unreadable"
    assert list(load_many(Slow(), [])) == []
