import bz2
import gzip
import lzma
import os
import stat
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from stages.images.images import ImageError
from stages.sources import archives
from stages.sources.store import SourceError, open_store
from tests.packed import member, write_tar, write_zip

ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
FILES = {
    "cars/b/2.jpg": b"two",
    "cars/a é/1.jpg": b"abc",
    "cars/.x": b"",
    "__MACOSX/cars/b/2.jpg": b"",
    "list.csv": b"p",
}
LISTED = [("cars/a é/1.jpg", ""), ("cars/b/2.jpg", ""), ("list.csv", "")]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Unpacked archives lie below the working directory."""
    monkeypatch.chdir(tmp_path)


MAKERS = {
    "zip": lambda path: write_zip(path, FILES),
    "ZIP": lambda path: write_zip(path, FILES),
    "tar": lambda path: write_tar(path, FILES),
    "tar.gz": lambda path: write_tar(path, FILES, mode="w:gz"),
    "tgz": lambda path: write_tar(path, FILES, mode="w:gz"),
    "tar.bz2": lambda path: write_tar(path, FILES, mode="w:bz2"),
    "tar.xz": lambda path: write_tar(path, FILES, mode="w:xz"),
}


@pytest.mark.parametrize("suffix", MAKERS)
def test_an_archive_is_listed_and_read_where_it_lies(tmp_path, suffix):
    source = MAKERS[suffix](tmp_path / f"cars.{suffix}")
    store = open_store(source, tmp_path / "hashes.sqlite")
    assert store.root == source and store.list_files() == LISTED
    assert store.load("cars/a é/1.jpg") == b"abc" and store.version("cars/a é/1.jpg") == ABC
    with pytest.raises(ImageError, match="changed"):
        store.load("cars/b/2.jpg", "0" * 16)
    for path, reason in {
        "cars/none.jpg": "missing",
        "cars": "not_a_file",
        "../x": "outside",
        "a//b": "bad_name",
    }.items():
        with pytest.raises(ImageError, match=reason):
            store.load(path)


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_a_folder_of_an_archive_and_a_table_in_it(tmp_path, suffix):
    source = MAKERS[suffix](tmp_path / f"cars.{suffix}")
    store = open_store(f"{source}/cars/")
    assert store.root == f"{source}/cars" and store.list_files() == [("a é/1.jpg", ""), ("b/2.jpg", "")]
    assert store.version("a é/1.jpg") == ABC
    assert open_store(f"{source}/cars/b/2.jpg").list_files() == [("2.jpg", "")]
    assert open_store(f"{source}/list.csv").list_files() == LISTED
    with pytest.raises(SourceError, match=r"expected none in the archive, found __MACOSX, cars, list\.csv"):
        open_store(f"{source}/none")


def test_an_archive_of_nothing_is_an_error(tmp_path):
    for source in (write_zip(tmp_path / "a.zip", {}), write_tar(tmp_path / "a.tar", {})):
        with pytest.raises(SourceError, match="expected photos in the archive, found nothing"):
            open_store(source)


def test_many_threads_read_the_right_bytes(tmp_path):
    files = {f"a/{number}.jpg": number.to_bytes(2, "big") * 5000 for number in range(200)}
    for store in (open_store(write_zip(tmp_path / "a.zip", files)), open_store(write_tar(tmp_path / "a.tar", files))):
        start = threading.Barrier(8)

        def read(part, store=store, start=start):
            start.wait()
            return [store.load(name) == files[name] for name in list(files)[part::2]]

        with ThreadPoolExecutor(8) as pool:
            assert all(all(found) for found in pool.map(read, [0, 1] * 4))


def zip_member(name, mode=0, system=3):
    info = zipfile.ZipInfo(name)
    info.external_attr, info.create_system = mode << 16, system
    return info


def test_zip_members_that_cannot_be_read_have_a_reason(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a/1.jpg", "abc")
        file.writestr("../x.jpg", "x")
        file.writestr("/etc/x.jpg", "x")
        file.writestr("a//2.jpg", "x")
        file.writestr(zip_member("C:\\x.jpg", system=0), "x")
        file.writestr(zip_member("a/link.jpg", stat.S_IFLNK | 0o777), "1.jpg")
        file.writestr(zip_member("a/bz2.jpg"), "x", zipfile.ZIP_BZIP2)
        file.writestr("b/", "")
        file.writestr("c\\1.jpg", "on Unix a name")
        file.writestr(zip_member("d\\1.jpg", system=0), "abc")
    store = open_store(str(tmp_path / "a.zip"))
    expected = {
        "../x.jpg": "outside", "/etc/x.jpg": "outside", "C:/x.jpg": "outside", "a/1.jpg": "", "a//2.jpg": "bad_name",
        "a/bz2.jpg": "unreadable", "a/link.jpg": "not_a_file", "b/": "empty_folder", "c\\1.jpg": "", "d/1.jpg": "",
    }  # fmt: skip
    assert dict(store.list_files()) == expected and store.load("d/1.jpg") == b"abc"
    for path in ("../x.jpg", "a//2.jpg", "a/bz2.jpg", "a/link.jpg"):
        with pytest.raises(ImageError, match=expected[path]):
            store.load(path)


def patched(path, old, new):
    """Replace bytes in every place, in the headers of the members and in the central directory."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def test_names_that_are_not_marked_as_utf8(tmp_path):
    write_zip(tmp_path / "a.zip", {"Citro__n/1.jpg": b"abc", "K_fer/1.jpg": b"abc"})
    patched(tmp_path / "a.zip", b"Citro__n", "Citroën".encode())
    patched(tmp_path / "a.zip", b"K_fer", "Käfer".encode("cp437"))
    store = open_store(str(tmp_path / "a.zip"))
    assert store.list_files() == [("Citroën/1.jpg", ""), ("Käfer/1.jpg", "")]
    assert store.load("Citroën/1.jpg") == store.load("Käfer/1.jpg") == b"abc"


def encrypt(path, count):
    """Set the flag of encryption of the first `count` members."""
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        for _ in range(count):
            at = content.index(magic, at + 1)
            content[at + offset] |= 1
    path.write_bytes(bytes(content))


def test_encrypted_zips(tmp_path):
    path = tmp_path / "a.zip"
    write_zip(path, {"1.jpg": b"a", "2.jpg": b"b"})
    encrypt(path, 1)
    assert open_store(str(path)).list_files() == [("1.jpg", "unreadable"), ("2.jpg", "")]
    encrypt(path, 2)
    with pytest.raises(SourceError, match="without a password"):
        open_store(str(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_occur_twice_are_an_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("1.jpg", "a")
        file.writestr("1.jpg", "b")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(member("./1.jpg"))
        tar.addfile(member("1.jpg"))
    for name in ("a.zip", "a.tar"):
        with pytest.raises(SourceError, match=f"{name}: expected each name once, found '1.jpg' twice"):
            open_store(str(tmp_path / name))


def test_a_zip_member_that_unpacks_to_more_than_it_says_is_cut_at_its_size(tmp_path, monkeypatch):
    write_zip(tmp_path / "a.zip", {"1.jpg": bytes(50_000_000), "2.jpg": b"abc"})
    monkeypatch.setattr(archives, "MAX_BYTES", 49_999_999)
    with pytest.raises(ImageError, match=r"too_large: .*50000000 bytes"):
        open_store(str(tmp_path / "a.zip")).load("1.jpg")
    patched(tmp_path / "a.zip", (50_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    with pytest.raises(ImageError, match="unreadable"):
        open_store(str(tmp_path / "a.zip")).load("1.jpg")


@pytest.mark.parametrize("suffix", MAKERS)
def test_archives_cut_off_anywhere_are_an_error_or_have_a_reason(tmp_path, suffix):
    path = tmp_path / f"cars.{suffix}"
    MAKERS[suffix](path)
    content = path.read_bytes()
    for length in {*range(0, len(content), 1 + len(content) // 40), len(content) // 2} - {len(content)}:
        path.write_bytes(content[:length])
        if suffix == "tar" and not content[length - 1024 :].strip(b"\0"):
            continue
        with pytest.raises(SourceError, match=r"cars\.") as caught:
            open_store(str(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", MAKERS)
def test_archives_with_damaged_bytes_give_no_other_exception(tmp_path, suffix):
    path = tmp_path / f"cars.{suffix}"
    MAKERS[suffix](path)
    content = path.read_bytes()
    outcomes = set()
    for at in range(0, len(content), 1 + len(content) // 150):
        damaged = bytearray(content)
        damaged[at] ^= 0x81
        path.write_bytes(bytes(damaged))
        try:
            store = open_store(str(path))
            for name, _ in store.list_files():
                try:
                    store.load(name)
                    outcomes.add("read")
                except ImageError:
                    outcomes.add("reason")
        except SourceError:
            outcomes.add("error")
    assert "error" in outcomes and ("read" in outcomes) == (suffix not in ("tar.bz2", "tar.xz"))


def test_what_is_packed_decides_not_the_suffix(tmp_path):
    plain = write_tar(tmp_path / "a.tgz", FILES)
    packed = write_tar(tmp_path / "a.tar", FILES, mode="w:bz2")
    assert open_store(plain).list_files() == open_store(packed).list_files() == LISTED


def test_a_compressed_tar_is_unpacked_once_and_the_oldest_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_KEPT", 2)
    path = tmp_path / "a.tar.gz"
    for number in range(3):
        write_tar(path, {f"{number}.jpg": b"abc"}, mode="w:gz")
        assert open_store(str(path)).load(f"{number}.jpg") == b"abc"
        for index, old in enumerate(sorted(archives.CACHE.iterdir(), key=lambda file: file.stat().st_mtime_ns)):
            os.utime(old, (100 * number + index, 100 * number + index))
    assert len(list(archives.CACHE.iterdir())) == 2
    monkeypatch.setattr(archives, "_UNPACK", {b"\x1f\x8b": pytest.fail})
    assert open_store(str(path)).list_files() == [("2.jpg", "")]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_that_unpacks_to_too_much_is_refused_and_leaves_nothing(tmp_path, monkeypatch, pack):
    (tmp_path / "a.tar.gz").write_bytes(pack(bytes(30_000_000)))
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 20_000_000)
    with pytest.raises(SourceError, match="expected at most 20000000 bytes unpacked"):
        open_store(str(tmp_path / "a.tar.gz"))
    assert list(archives.CACHE.iterdir()) == []


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
def test_other_files_named_like_archives_are_an_error(tmp_path, name):
    for content in (b"", b"no archive", b"\x1f\x8bno gzip"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=f"{name}: expected a zip or tar archive, found"):
            open_store(str(tmp_path / name))


@pytest.mark.parametrize("name", ["a.7z", "a.rar", "a.tar.zst", "a.csv.gz"])
def test_other_kinds_of_archives_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SourceError, match=f"{name}: expected .*; unpack"):
        open_store(str(tmp_path / name))


def test_a_folder_named_like_an_archive_is_a_folder(tmp_path):
    (tmp_path / "cars.zip" / "a").mkdir(parents=True)
    (tmp_path / "cars.zip" / "a" / "1.jpg").write_bytes(b"abc")
    assert open_store(str(tmp_path / "cars.zip")).list_files() == [("a/1.jpg", "")]
    assert open_store(str(tmp_path / "cars.zip" / "a")).list_files() == [("1.jpg", "")]


def test_names_that_begin_with_a_dot_and_a_slash(tmp_path):
    source = write_zip(tmp_path / "a.zip", {"./cars/1.jpg": b"one", "cars/2.jpg": b"two"})
    store = open_store(source, None)
    assert store.list_files() == [("cars/1.jpg", ""), ("cars/2.jpg", "")] and store.load("cars/1.jpg") == b"one"
