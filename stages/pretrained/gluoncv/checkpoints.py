"""Locate the weights of a GluonCV network: in a folder, on a mirror, or on GluonCV's own server."""

import hashlib
import io
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import NamedTuple

_TIMEOUT = 60  # seconds without a byte


class CheckpointError(RuntimeError):
    """The weights of a network could not be obtained, or have another hash than expected."""


class Published(NamedTuple):
    """The weights that GluonCV published for a network: the SHA-1 of the `.params` file, None if there are none."""

    name: str
    sha1: str | None

    @property
    def stem(self) -> str:
        """The name of the published file without its suffix, such as `center_net_resnet50_v1b_voc-f108427b`."""
        return f"{self.name}-{(self.sha1 or '')[:8]}"


def obtain(published: Published, folder: Path, server: str, into: Path) -> Path:
    """The `.params` file of a network: the user's own, the published one in `folder`, or a download.

    `NAME.params` in `folder` is used without a check. A published file, `NAME-<8 digits>.params`, must have its SHA-1
    in any case; a download is written to the folder `into`. `server` is the address above `gluon/models/`. Raises
    CheckpointError, which states what to download and where to put it.
    """
    own = folder / f"{published.name}.params"
    if own.is_file():
        return own
    if published.sha1 is None:
        raise CheckpointError(f"{own}: expected weights here, found none; GluonCV published none for this network")
    local = folder / f"{published.stem}.params"
    if local.is_file():
        verify(local.read_bytes(), published, str(local))
        return local
    address = f"{server.rstrip('/')}/gluon/models/{published.stem}.zip"
    try:
        archive = download(address)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise CheckpointError(_advice(published, folder, error)) from None
    content = read_member(archive, f"{published.stem}.params", address)
    verify(content, published, address)
    path = into / local.name
    path.write_bytes(content)
    return path


def download(address: str) -> bytes:
    """The bytes at an http, https or file address. Raises OSError, URLError among them, or ValueError."""
    with urllib.request.urlopen(address, timeout=_TIMEOUT) as response:
        return bytes(response.read())


def read_member(archive: bytes, name: str, origin: str) -> bytes:
    """The bytes of the file `name` of a zip archive; nothing else is read or extracted.

    Raises CheckpointError if the bytes are no archive, or it has no file of exactly this name.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            if name not in files.namelist():
                names = ", ".join(files.namelist()[:5]) or "nothing"
                raise CheckpointError(f"{origin}: expected a file {name} inside, found {names}")
            return files.read(name)
    except zipfile.BadZipFile:
        raise CheckpointError(
            f"{origin}: expected a zip archive, found {len(archive)} bytes of another format"
        ) from None


def verify(content: bytes, published: Published, origin: str) -> None:
    """Raise CheckpointError unless `content` has the published SHA-1."""
    actual = hashlib.sha1(content).hexdigest()
    if actual != published.sha1:
        raise CheckpointError(
            f"{origin}: expected weights with SHA-1 {published.sha1}, found {actual}; they are not used "
            f"(rename them to {published.name}.params if they are your own)"
        )


def _advice(published: Published, folder: Path, error: Exception) -> str:
    return (
        f"{published.name}: expected its weights in {folder} or on a server, found neither ({error}). Download "
        f"{published.stem}.zip, extract it, and put {published.stem}.params (SHA-1 {published.sha1}) into {folder}; "
        f"or set MXNET_GLUON_REPO to the address of a mirror that has gluon/models/{published.stem}.zip; "
        f"or put your own weights there as {published.name}.params"
    )
