import hashlib
import zipfile

import pytest

from stages.pretrained.gluoncv import checkpoints
from stages.pretrained.gluoncv.checkpoints import CheckpointError, Published

CONTENT = b"weights"
SHA1 = hashlib.sha1(CONTENT).hexdigest()
NET = Published("net_voc", SHA1)
FILE = f"net_voc-{SHA1[:8]}.params"


@pytest.fixture
def folders(tmp_path):
    """An empty folder for weights, one for downloads, and a function that creates a mirror and returns its address."""

    def mirror(files):
        (tmp_path / "mirror/gluon/models").mkdir(parents=True)
        with zipfile.ZipFile(tmp_path / f"mirror/gluon/models/net_voc-{SHA1[:8]}.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return (tmp_path / "mirror").as_uri()

    for name in ("weights", "into"):
        (tmp_path / name).mkdir()
    return tmp_path / "weights", tmp_path / "into", mirror


def test_the_users_own_file_is_used_first_with_any_hash(folders):
    weights, into, mirror = folders
    (weights / FILE).write_bytes(CONTENT)
    (weights / "net_voc.params").write_bytes(b"mine")
    assert checkpoints.obtain(NET, weights, mirror({FILE: CONTENT}), into) == weights / "net_voc.params"
    assert checkpoints.obtain(Published("net_voc", None), weights, "", into) == weights / "net_voc.params"


def test_the_published_file_in_the_folder_needs_no_server(folders):
    weights, into, _ = folders
    (weights / FILE).write_bytes(CONTENT)
    assert checkpoints.obtain(NET, weights, "nowhere:", into) == weights / FILE
    (weights / FILE).write_bytes(b"other")
    with pytest.raises(CheckpointError, match=rf"{FILE}.*{SHA1}.*{hashlib.sha1(b'other').hexdigest()}.*net_voc.params"):
        checkpoints.obtain(NET, weights, "nowhere:", into)


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_published_file_is_downloaded_from_a_mirror(folders, slash):
    weights, into, mirror = folders
    path = checkpoints.obtain(NET, weights, mirror({"readme": b"x", FILE: CONTENT}) + slash, into)
    assert path == into / FILE and path.read_bytes() == CONTENT and not list(weights.iterdir())


def test_other_weights_on_a_mirror_are_rejected(folders):
    weights, into, mirror = folders
    with pytest.raises(CheckpointError, match=SHA1):
        checkpoints.obtain(NET, weights, mirror({FILE: b"other"}), into)
    assert not list(into.iterdir())


@pytest.mark.parametrize("name", [f"../{FILE}", f"/{FILE}", f"weights/{FILE}", "net_voc.params"])
def test_a_member_with_another_name_is_neither_read_nor_extracted(folders, name):
    weights, into, mirror = folders
    address = mirror({name: CONTENT})
    with pytest.raises(CheckpointError, match=f"expected a file {FILE} inside, found {name}"):
        checkpoints.obtain(NET, weights, address, into)
    assert not list(into.parent.rglob("*.params"))


def test_a_download_that_is_no_archive_is_rejected(folders):
    weights, into, mirror = folders
    address = mirror({})
    (into.parent / f"mirror/gluon/models/net_voc-{SHA1[:8]}.zip").write_bytes(b"<html>")
    with pytest.raises(CheckpointError, match="expected a zip archive, found 6 bytes"):
        checkpoints.obtain(NET, weights, address, into)


def test_without_any_source_the_error_states_what_to_download_and_where_to_put_it(folders):
    weights, into, _ = folders
    with pytest.raises(CheckpointError) as caught:
        checkpoints.obtain(NET, weights, into.as_uri(), into)
    for part in ("net_voc", FILE, f"net_voc-{SHA1[:8]}.zip", SHA1, str(weights), "MXNET_GLUON_REPO", "net_voc.params"):
        assert part in str(caught.value)


def test_weights_that_were_never_published_must_be_the_users_own(folders):
    weights, into, mirror = folders
    with pytest.raises(CheckpointError, match=r"weights/net_voc\.params: expected weights here.*published none"):
        checkpoints.obtain(Published("net_voc", None), weights, mirror({FILE: CONTENT}), into)
