import os
from pathlib import Path

import pytest

from stages.networks import compiled_networks


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "fine-grained-cars" / "networks"


def test_the_folder_is_that_of_the_user(cache, monkeypatch):
    assert compiled_networks.folder() == cache
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    own = Path("/home/someone/.cache/fine-grained-cars/networks")
    assert compiled_networks.folder() == own
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert compiled_networks.folder() == own


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def refuse(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", refuse)
    compiled_networks.write("aa", "1", b"first")
    assert compiled_networks.folder() is None and not compiled_networks.has_any("aa")
    assert compiled_networks.read("aa", "1") is None


def test_what_was_written_is_read_under_its_network_and_key_alone(cache):
    compiled_networks.write("aa", "1", b"first")
    compiled_networks.write("aa", "2", b"")
    assert compiled_networks.read("aa", "1") == b"first" and compiled_networks.read("aa", "2") == b""
    assert compiled_networks.read("aa", "3") is None and compiled_networks.read("a", "1") is None
    assert compiled_networks.has_any("aa") and not compiled_networks.has_any("a")
    assert cache.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_file_that_was_cut_counts_as_none(cache, share):
    compiled_networks.write("aa", "1", bytes(100))
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[: int(share * 132)])
    assert compiled_networks.read("aa", "1") is None


def test_a_byte_that_changed_counts_as_none(cache):
    compiled_networks.write("aa", "1", bytes(100))
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert compiled_networks.read("aa", "1") is None


def test_the_most_recent_stay(cache):
    for number in range(40):
        compiled_networks.write("aa", f"{number}", b"")
        os.utime(cache / f"aa-{number}.blob", ns=(number, number))
    kept = {path.stem for path in cache.iterdir()}
    assert kept == {f"aa-{number}" for number in range(8, 40)}


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    compiled_networks.write("aa", "1", b"first")
    assert compiled_networks.read("aa", "1") is None and not compiled_networks.has_any("aa")
