import errno
import hashlib
import inspect
import os
import socket
import sys
import time

import pytest

from stages.images import images
from stages.images.images import ImageError
from stages.sources.folder import FolderStore
from stages.sources.store import ListedFile, SourceError

ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def write(path, content=b"abc"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_every_visible_file_is_listed_once_sorted(tmp_path):
    for name in (
        "b/2.jpg",
        "b/1.jpg",
        "a b/é%+.JPG",
        "top.png",
        ".hidden",
        "b/.x",
        ".git/x",
        "__MACOSX/b/1.jpg",
        "...x",
    ):
        write(tmp_path / name)
    expected = ["a b/é%+.JPG", "b/1.jpg", "b/2.jpg", "top.png"]
    assert FolderStore(tmp_path).list_files() == [ListedFile(path, "") for path in expected]


def test_the_root_may_lie_in_a_hidden_folder_and_an_empty_root_has_no_entries(tmp_path):
    write(tmp_path / ".dvc" / "tmp" / "1.jpg")
    assert FolderStore(tmp_path / ".dvc").list_files() == [("tmp/1.jpg", "")]
    (tmp_path / "none").mkdir()
    assert FolderStore(tmp_path / "none").list_files() == []


def test_empty_folders_have_an_entry_the_innermost_ones_and_those_with_hidden_files_alone(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    write(tmp_path / "c" / ".DS_Store")
    write(tmp_path / "d" / "1.jpg")
    assert FolderStore(tmp_path).list_files() == [("a/b/", "empty_folder"), ("c/", "empty_folder"), ("d/1.jpg", "")]


def test_links_to_folders_and_files_are_followed_and_loops_are_cut(tmp_path):
    root = tmp_path / "photos"
    write(tmp_path / "elsewhere" / "1.jpg")
    write(root / "a" / "2.jpg")
    (root / "bmw").symlink_to(tmp_path / "elsewhere")
    (root / "vw").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "3.jpg").symlink_to(tmp_path / "elsewhere" / "1.jpg")
    (root / "a" / "up").symlink_to("..")
    (root / "a" / "above").symlink_to(tmp_path)
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "itself").symlink_to("itself")
    (root / "a" / "gone").symlink_to("nowhere")
    (root / "linked").symlink_to(tmp_path / "elsewhere" / "1.jpg" / "below")
    store = FolderStore(root)
    assert store.list_files() == [
        ("a/2.jpg", ""), ("a/3.jpg", ""), ("a/above", "link_loop"), ("a/gone", "missing"), ("a/itself", "link_loop"),
        ("a/up", "link_loop"), ("bmw/1.jpg", ""), ("bmw/again", "link_loop"), ("linked", "unreadable"),
        ("vw/1.jpg", ""), ("vw/again", "link_loop"),
    ]  # fmt: skip
    assert store.load("vw/1.jpg") == b"abc"


def test_pipes_and_sockets_have_a_reason_and_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.jpg"))
        store = FolderStore(tmp_path)
        assert store.list_files() == [("pipe.jpg", "not_a_file"), ("s.jpg", "not_a_file")]
    for work in (store.load, store.version):
        with pytest.raises(ImageError, match="not_a_file"):
            work("pipe.jpg")


def test_what_may_not_be_read_has_an_entry(tmp_path, monkeypatch):
    write(tmp_path / "a" / "1.jpg")
    write(tmp_path / "b" / "2.jpg")
    scan, access = os.scandir, os.access

    def refuse(path):
        if path == tmp_path / "b":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith("1.jpg") and access(path, mode))
    assert FolderStore(tmp_path).list_files() == [("a/1.jpg", "unreadable"), ("b/", "unreadable")]
    with pytest.raises(SourceError, match="expected a folder that can be read: Permission denied"):
        FolderStore(tmp_path / "b").list_files()


def test_deep_folders_are_listed(tmp_path):
    limit = sys.getrecursionlimit()
    (tmp_path / ("d/" * 60)).mkdir(parents=True)
    write(tmp_path / ("d/" * 60) / "1.jpg")
    depth = len(inspect.stack())
    sys.setrecursionlimit(depth + 50)
    try:
        assert FolderStore(tmp_path).list_files() == [("d/" * 60 + "1.jpg", "")]
    finally:
        sys.setrecursionlimit(limit)


def test_the_version_is_the_hash_of_the_bytes(tmp_path):
    write(tmp_path / "a" / "1.jpg")
    assert FolderStore(tmp_path).version("a/1.jpg") == ABC
    with pytest.raises(ImageError, match="missing"):
        FolderStore(tmp_path).version("a/2.jpg")
    with pytest.raises(ImageError, match="not_a_file"):
        FolderStore(tmp_path).version("a")


@pytest.mark.parametrize("path", ["../x.jpg", "/etc/hosts", "a/../../x.jpg", "a//1.jpg", "a/./1.jpg", "a\0b", ""])
def test_paths_that_leave_the_folder_are_not_read(tmp_path, path):
    write(tmp_path / "x.jpg")
    write(tmp_path / "photos" / "a" / "1.jpg")
    for work in (FolderStore(tmp_path / "photos").load, FolderStore(tmp_path / "photos").version):
        with pytest.raises(ImageError, match="expected a path inside the source") as caught:
            work(path)
        assert caught.value.reason == ("outside" if ".." in path or path[:1] == "/" else "bad_name")


def test_the_id_of_a_second_object_is_that_of_its_photo(tmp_path):
    write(tmp_path / "1.jpg")
    photo = hashlib.sha256(b"abc").hexdigest()[:16]
    store = FolderStore(tmp_path)
    for expected in (None, photo, f"{photo}-2", f"{photo}-13"):
        assert store.load("1.jpg", expected) == b"abc"
    with pytest.raises(ImageError, match="changed"):
        store.load("1.jpg", "0" * 16 + "-2")


def test_a_file_of_too_many_bytes_has_a_reason(tmp_path, monkeypatch):
    write(tmp_path / "1.jpg", b"12345")
    monkeypatch.setattr(images, "MAX_BYTES", 4)
    for work in (FolderStore(tmp_path).load, FolderStore(tmp_path).version):
        with pytest.raises(ImageError, match="too_large"):
            work("1.jpg")


def test_known_versions_are_those_of_unchanged_files_that_were_hashed(tmp_path):
    folder = tmp_path / "photos"
    for name in ("a/1.jpg", "a/2.jpg", "3.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, (1, 1))
    first = FolderStore(folder, tmp_path / "hashes")
    time.sleep(2.1)  # a file that changed just before is not kept
    versions = {name: first.version(name) for name in ("a/1.jpg", "3.jpg")}
    del first
    (folder / "3.jpg").write_bytes(b"other")
    paths = ["a/1.jpg", "a/2.jpg", "3.jpg", "missing.jpg", "../photos/3.jpg", "/a/1.jpg", "a/", "a//1.jpg", "a\0b"]
    assert FolderStore(folder, tmp_path / "hashes").known_versions(paths) == {"a/1.jpg": versions["a/1.jpg"]}
