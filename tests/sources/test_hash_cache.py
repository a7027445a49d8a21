import os
import sqlite3
import time
from contextlib import closing

import pytest

from stages.sources import hash_cache
from stages.sources.hash_cache import HashCache, sha256
from stages.sources.store import SourceError


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "1.jpg"
    path.write_bytes(b"abc")
    return path


@pytest.fixture
def later(monkeypatch):
    """The clock ten seconds ahead: what was written just now lies in the past."""
    now = time.time_ns
    monkeypatch.setattr(hash_cache.time, "time_ns", lambda: now() + 10_000_000_000)


class Reader:
    """Counts how often a file is read."""

    def __init__(self, path):
        self.path, self.count = path, 0

    def digest(self):
        self.count += 1
        return sha256(self.path.read_bytes())

    def version(self, cache):
        return cache.version(str(self.path), self.path.stat, self.digest)


@pytest.mark.usefixtures("later")
def test_an_unchanged_file_is_read_once_even_by_another_process(photo, tmp_path):
    reader = Reader(photo)
    cache = HashCache(tmp_path / "logs" / "hashes.sqlite")
    first = reader.version(cache)
    del cache
    assert reader.version(HashCache(tmp_path / "logs" / "hashes.sqlite")) == first and reader.count == 1


@pytest.mark.usefixtures("later")
def test_without_a_path_nothing_is_kept(photo):
    reader, cache = Reader(photo), HashCache(None)
    assert reader.version(cache) == reader.version(cache) and reader.count == 2


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("change", ["size", "bytes", "time set back", "another file"])
def test_a_changed_file_is_read_again(photo, tmp_path, change):
    reader = Reader(photo)
    path = tmp_path / "hashes.sqlite"
    before = photo.stat()
    reader.version(HashCache(path))
    if change == "another file":
        (tmp_path / "new").write_bytes(b"xyz")
        os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
        (tmp_path / "new").replace(photo)
    else:
        photo.write_bytes(b"abcd" if change == "size" else b"xyz")
    if change == "time set back":
        time.sleep(0.02)  # longer than a tick of the file system's clock
        os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert reader.version(HashCache(path)) == f"sha256:{sha256(photo.read_bytes())}" and reader.count == 2


def test_a_file_changed_just_before_is_read_again(photo, tmp_path):
    # Within a tick of the clock a file could change again and keep its size and its time stamp.
    reader = Reader(photo)
    for count in (1, 2):
        reader.version(HashCache(tmp_path / "hashes.sqlite"))
        assert reader.count == count


@pytest.mark.usefixtures("later")
def test_a_file_that_changes_while_it_is_read_is_not_kept(photo, tmp_path):
    def digest():
        found = sha256(photo.read_bytes())
        photo.write_bytes(b"longer")
        return found

    path = tmp_path / "hashes.sqlite"
    assert HashCache(path).version(str(photo), photo.stat, digest) == f"sha256:{sha256(b'abc')}"
    assert Reader(photo).version(HashCache(path)) == f"sha256:{sha256(b'longer')}"


@pytest.mark.usefixtures("later")
def test_more_files_than_a_transaction_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(hash_cache, "_ROWS_PER_TRANSACTION", 2)
    readers = []
    cache = HashCache(tmp_path / "hashes.sqlite")
    for number in range(5):
        path = tmp_path / f"\udcff{number}.jpg"
        path.write_bytes(bytes([number]))
        readers.append(Reader(path))
    found = [reader.version(cache) for reader in readers]
    # As after a kill: those of the last, unfinished transaction are read again.
    with closing(sqlite3.connect(tmp_path / "hashes.sqlite")) as file:
        assert file.execute("SELECT count(*) FROM hashes").fetchone() == (4,)
    del cache
    assert [reader.version(HashCache(tmp_path / "hashes.sqlite")) for reader in readers] == found
    assert [reader.count for reader in readers] == [1] * 5


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "hashes.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(SourceError, match=r"hashes\.sqlite: expected hashes of earlier runs.*delete the file"):
        HashCache(tmp_path / "hashes.sqlite")


def test_the_hash_of_a_file_of_any_size(photo):
    assert HashCache(None).file_version(photo) == f"sha256:{sha256(b'abc')}"


@pytest.mark.usefixtures("later")
def test_known_hashes_of_many_files_are_those_of_their_state_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(hash_cache, "_NAMES_PER_QUERY", 2)
    paths = [tmp_path / name for name in ("a", "b", "changed", "c", "new")]
    cache = HashCache(tmp_path / "hashes.sqlite")
    for path in paths:
        path.write_bytes(path.name.encode())
    versions = {str(path): cache.file_version(path) for path in paths[:-1]}
    del cache
    paths[2].write_bytes(b"longer")
    states = [(str(path), hash_cache.state_of(path.stat())) for path in paths]
    expected = {str(path): versions[str(path)] for path in (paths[0], paths[1], paths[3])}
    assert dict(HashCache(tmp_path / "hashes.sqlite").known(states)) == expected
    assert list(HashCache(None).known(states)) == [] and list(HashCache(tmp_path / "hashes.sqlite").known([])) == []
