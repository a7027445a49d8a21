import errno
import io
import os
import struct
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from stages.core import archive
from stages.core.archive import Archive, ArchiveError
from tests import archives

FILES = {"b.png": b"bytes of b", "a.jpg": b"", "c.png": bytes(range(256))}


def test_members_are_read_by_name_in_the_order_in_which_they_were_added(tmp_path):
    archives.put(tmp_path / "new" / "p.zip", FILES)
    opened = Archive(tmp_path / "new" / "p.zip")
    assert opened.names == list(FILES) and {name: opened.read(name) for name in reversed(opened.names)} == FILES
    assert "a.jpg" in opened and "d.png" not in opened
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["p.zip"]


def test_the_bytes_depend_on_the_members_alone(tmp_path, monkeypatch):
    """Not on the time, the user's mask or the system's name."""
    archives.put(tmp_path / "p.zip", FILES)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(archive.zipfile.sys, "platform", "win32")
    before = os.umask(0o077)
    try:
        archives.put(tmp_path / "q.zip", FILES)
    finally:
        os.umask(before)
    content = (tmp_path / "p.zip").read_bytes()
    assert (tmp_path / "q.zip").read_bytes() == content
    # Version 2.0, no flags, stored, midnight of 1980-01-01 (the least of the format), CRC, sizes, lengths of the names.
    header = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0b100001, zlib.crc32(b"bytes of b"), 10, 10, 5, 0)
    assert content.startswith(header + b"b.pngbytes of bPK")


def test_other_programs_read_it_and_nothing_is_compressed(tmp_path):
    archives.put(tmp_path / "p.zip", FILES)
    with zipfile.ZipFile(tmp_path / "p.zip") as file:
        assert file.testzip() is None
        assert all(member.compress_size == member.file_size for member in file.infolist())
        file.extractall(tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == FILES


def test_a_member_without_its_size_in_its_header_is_no_empty_member(tmp_path):
    """As programs write it that cannot go back in the file."""

    class Pipe(io.BytesIO):
        def seek(self, *_):
            raise OSError("a pipe")

    stream = Pipe()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("a.png", b"seven77")
    (tmp_path / "p.zip").write_bytes(stream.getvalue())
    opened = Archive(tmp_path / "p.zip")
    with pytest.raises(ArchiveError, match=r"a\.png is damaged: its size and checksum are not in its header; delete"):
        opened.read("a.png")


def test_an_unfinished_archive_never_replaces_the_old_one(tmp_path):
    archives.put(tmp_path / "p.zip", FILES)
    with pytest.raises(RuntimeError, match="on the way"), archive.writing(tmp_path / "p.zip") as add:
        add("new.png", b"new")
        raise RuntimeError("on the way")
    assert archives.take(tmp_path / "p.zip") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["p.zip"]


def test_temporary_files_of_a_killed_run_are_removed_by_the_next_and_no_others(tmp_path):
    others = {".p.png", ".q.0a1b2c3d.zip", ".p.q.0a1b2c3d.zip", "p.csv"}
    for name in (".p.0a1b2c3d.zip", ".p.ffffffff.zip", *others):
        (tmp_path / name).write_bytes(b"half")
    archives.put(tmp_path / "p.zip", FILES)
    assert {path.name for path in tmp_path.iterdir()} == {"p.zip", *others}


def test_threads_may_read_at_once(tmp_path):
    members = {f"{number}.png": bytes([number]) * 5000 for number in range(100)}
    archives.put(tmp_path / "p.zip", members)
    opened = Archive(tmp_path / "p.zip")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened.read, list(members) * 5)) == list(members.values()) * 5


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x05\x06"])
def test_a_file_that_is_not_an_archive_is_an_error_with_its_name(tmp_path, content):
    if content is not None:
        (tmp_path / "p.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"p\.zip: expected a ZIP archive.*run `dvc repro`"):
        Archive(tmp_path / "p.zip")


def test_a_changed_byte_never_changes_a_member(tmp_path):
    """Each byte of an archive in turn: the member is unchanged, or there is an ArchiveError with a reason."""
    path = tmp_path / "p.zip"
    archives.put(path, {"a.png": b"seven77", "b.png": b"eight888"})
    content, reasons = path.read_bytes(), []
    for place in range(len(content)):
        for changed in (content[place] ^ 1, content[place] ^ 0x80, 0xFF):
            path.write_bytes(content[:place] + bytes([changed]) + content[place + 1 :])
            try:
                assert Archive(path).read("a.png") == b"seven77"
            except ArchiveError as error:
                reasons.append(error.reason)
    assert {"missing", "truncated"} == set(reasons)


def test_a_failing_disk_is_not_a_damaged_archive(tmp_path, monkeypatch):
    archives.put(tmp_path / "p.zip", FILES)
    opened = Archive(tmp_path / "p.zip")

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(archive.zlib, "crc32", fail)
    with pytest.raises(OSError, match=r"Input/output error.*p\.zip"):
        opened.read("c.png")


def test_a_truncated_archive_is_an_error(tmp_path):
    path = tmp_path / "p.zip"
    archives.put(path, FILES)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ArchiveError):
            Archive(path)


def test_more_members_than_an_old_zip_can_count(tmp_path):
    with archive.writing(tmp_path / "p.zip") as add:
        for number in range(70_000):
            add(f"{number}.png", b"x")
    opened = Archive(tmp_path / "p.zip")
    assert len(opened.names) == 70_000 and opened.read("69999.png") == b"x"


def test_a_folder_of_shards_is_one_archive(tmp_path):
    archives.put(tmp_path / "p" / "00001.zip", {"c.png": b"3"})
    archives.put(tmp_path / "p" / "00000.zip", {"b.png": b"2", "a.png": b"1"})
    # Half written by a killed run.
    (tmp_path / "p" / ".00002.0a1b2c3d.zip").write_bytes(b"half")
    opened = Archive(tmp_path / "p")
    assert opened.names == ["b.png", "a.png", "c.png"]
    assert [opened.read(name) for name in ("c.png", "b.png", "a.png")] == [b"3", b"2", b"1"]
    assert "b.png" in opened and "d.png" not in opened and list(opened.fingerprints) == ["00000", "00001"]


def test_an_empty_folder_is_an_archive_without_members_and_none_is_an_error(tmp_path):
    (tmp_path / "p").mkdir()
    opened = Archive(tmp_path / "p")
    assert opened.names == [] and "a.png" not in opened
    with pytest.raises(ArchiveError, match=r"p: expected a file a\.png in the archive, found none"):
        opened.read("a.png")
    with pytest.raises(ArchiveError, match=r"q: expected a ZIP archive"):
        Archive(tmp_path / "q")


def test_a_fingerprint_changes_with_name_and_content_of_each_member_and_with_nothing_else(tmp_path):
    def fingerprint(members):
        archives.put(tmp_path / f"{len(found)}.zip", members)
        return archive.read_directory(tmp_path / f"{len(found)}.zip").fingerprint

    found = []
    for members in ({"a": b"12", "b": b"3"}, {"a": b"12", "c": b"3"}, {"a": b"13", "b": b"3"}, {"a": b"12"}):
        found.append(fingerprint(members))
    assert len(set(found)) == 4 and fingerprint({"a": b"12", "b": b"3"}) == found[0]


def test_a_member_whose_file_changed_after_opening_is_damaged(tmp_path):
    archives.put(tmp_path / "p.zip", FILES)
    opened = Archive(tmp_path / "p.zip")
    (tmp_path / "p.zip").write_bytes((tmp_path / "p.zip").read_bytes()[7:])
    with pytest.raises(ArchiveError, match=r"b\.png is damaged") as caught:
        opened.read("b.png")
    assert caught.value.reason == "truncated"
