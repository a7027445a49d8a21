import tarfile

import pytest

from stages.images.images import ImageError
from stages.sources.store import SourceError, open_store
from tests.packed import member, write_tar


def test_tar_members_that_cannot_be_read_have_a_reason(tmp_path):
    others = [
        member("./a/hard.jpg", tarfile.LNKTYPE, "a/1.jpg"), member("a/lost.jpg", tarfile.LNKTYPE, "a/none.jpg"),
        member("a/soft.jpg", tarfile.SYMTYPE, "1.jpg"), member("a/pipe.jpg", tarfile.FIFOTYPE),
        member("a/disk.jpg", tarfile.BLKTYPE), member("b/", tarfile.DIRTYPE), member("./", tarfile.DIRTYPE),
    ]  # fmt: skip
    source = write_tar(tmp_path / "a.tar", {"./a/1.jpg": b"abc", "../x.jpg": b"x", "/etc/x.jpg": b"x"}, others)
    store = open_store(source)
    assert dict(store.list_files()) == {
        "../x.jpg": "outside", "/etc/x.jpg": "outside", "a/1.jpg": "", "a/disk.jpg": "not_a_file", "a/hard.jpg": "",
        "a/lost.jpg": "missing", "a/pipe.jpg": "not_a_file", "a/soft.jpg": "not_a_file", "b/": "empty_folder",
    }  # fmt: skip
    assert store.load("a/hard.jpg") == b"abc"
    with pytest.raises(ImageError, match=r"not_a_file: .*soft\.jpg: a link or a device"):
        store.load("a/soft.jpg")


def test_a_second_tar_behind_the_first_is_an_error(tmp_path):
    path = tmp_path / "a.tar"
    write_tar(path, {"1.jpg": b"abc"})
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(SourceError, match="a second archive behind"):
        open_store(str(path))


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    path = tmp_path / "a.tar"
    write_tar(path, {"1.jpg": b"abc", "2.jpg": b"abc"})
    content = bytearray(path.read_bytes())
    content[1024] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(SourceError, match="expected zeros at the end"):
        open_store(str(path))


def test_a_negative_size_does_not_lead_round_for_ever(tmp_path):
    info = member("1.jpg")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 11 + b"\0"  # -256, in base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(10240))
    with pytest.raises(SourceError, match=r"a\.tar"):
        open_store(str(tmp_path / "a.tar"))
