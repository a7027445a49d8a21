import json

import pytest

from stages.commands import bundle_manifest
from stages.commands.bundle_manifest import BundleError


@pytest.fixture
def folder(tmp_path):
    bundle = tmp_path / "bundle"
    (bundle / "models").mkdir(parents=True)
    (bundle / "models" / "a.onnx").write_bytes(b"network")
    (bundle / "classes.txt").write_text("car\nvan\n")
    assert bundle_manifest.write(bundle) == 2
    return bundle


def rewrite(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_complete_bundle_is_valid_in_any_place(folder):
    bundle_manifest.verify(folder)
    bundle_manifest.verify(folder.rename(folder.with_name("moved")))
    files = json.loads((folder.with_name("moved") / "manifest.json").read_text())["files"]
    # `printf network | sha256sum`
    assert files["models/a.onnx"] == "3009be769fb8f956e8413ee9f3e0836e34968bc40457d0a10c549d2edcf00cc1"


def test_a_changed_file_is_rejected(folder):
    (folder / "models" / "a.onnx").write_bytes(b"netw0rk")
    with pytest.raises(BundleError, match=r"a\.onnx: expected the SHA-256 \w{64}, found \w{64}; copy"):
        bundle_manifest.verify(folder)


def test_a_missing_file_is_rejected(folder):
    (folder / "classes.txt").unlink()
    with pytest.raises(BundleError, match=r"classes\.txt: expected a file, found none"):
        bundle_manifest.verify(folder)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "models/../../outside.txt", "..\\outside.txt"])
def test_names_that_leave_the_folder_are_rejected(folder, name):
    (folder.parent / "outside.txt").write_text("secret")
    rewrite(folder, files={name: "0" * 64})
    with pytest.raises(BundleError, match="expected names of files in this folder"):
        bundle_manifest.verify(folder)


def test_links_that_leave_the_folder_are_rejected(folder):
    outside = folder.parent / "outside.txt"
    outside.write_text("secret")
    (folder / "link").symlink_to(outside)
    rewrite(folder, files={"link": bundle_manifest._sha256(outside)})
    with pytest.raises(BundleError, match="expected names of files in this folder"):
        bundle_manifest.verify(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "files": 3}', "\udcff"])
def test_a_damaged_manifest_is_rejected(folder, text):
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BundleError, match="expected the manifest of a bundle, found"):
        bundle_manifest.verify(folder)


def test_other_formats_and_other_folders_are_rejected(folder, tmp_path):
    rewrite(folder, format=1)
    with pytest.raises(BundleError, match="expected format 2, found 1"):
        bundle_manifest.verify(folder)
    with pytest.raises(BundleError, match=r"found none; run `python -m stages bundle`"):
        bundle_manifest.verify(tmp_path)
