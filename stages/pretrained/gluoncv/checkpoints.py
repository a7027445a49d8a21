"""Where the weights of a GluonCV network come from: a folder, a mirror, or the server that GluonCV itself names."""

import hashlib
import io
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import NamedTuple

_TIMEOUT = 60  # seconds without a byte


class CheckpointError(RuntimeError):
    """The weights of a network could not be had, or are not the ones they should be."""


class Published(NamedTuple):
    """What GluonCV knows of a network's weights: the SHA-1 of the `.params` file, None if it never had any."""

    name: str
    sha1: str | None

    @property
    def stem(self) -> str:
        """The name of the published file without its ending, such as `center_net_resnet50_v1b_voc-f108427b`."""
        return f"{self.name}-{(self.sha1 or '')[:8]}"


def obtain(published: Published, folder: Path, server: str, into: Path) -> Path:
    """The `.params` file of a network: one of the user's own, the published one in `folder`, or a download.

    `NAME.params` in `folder` is taken as it is. A published file, `NAME-<8 digits>.params`, must have its SHA-1
    wherever it comes from; a download is put into the folder `into`. `server` is the address above `gluon/models/`.
    Raises CheckpointError, which says what to get and where to put it.
    """
    own = folder / f"{published.name}.params"
    if own.is_file():
        return own
    if published.sha1 is None:
        raise CheckpointError(f"{own}: expected weights of yours here, found none; GluonCV published none itself")
    given = folder / f"{published.stem}.params"
    if given.is_file():
        check(given.read_bytes(), published, str(given))
        return given
    address = f"{server.rstrip('/')}/gluon/models/{published.stem}.zip"
    try:
        archive = download(address)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise CheckpointError(_advice(published, folder, error)) from None
    content = member(archive, f"{published.stem}.params", address)
    check(content, published, address)
    path = into / given.name
    path.write_bytes(content)
    return path


def download(address: str) -> bytes:
    """The bytes at an http, https or file address. Raises OSError, URLError among them, or ValueError."""
    with urllib.request.urlopen(address, timeout=_TIMEOUT) as answer:
        return bytes(answer.read())


def member(archive: bytes, name: str, origin: str) -> bytes:
    """The bytes of the file `name` at the top of a zip archive; nothing else of it is read, and nothing unpacked.

    Raises CheckpointError when the archive is none, or does not hold the file under exactly this name.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            if name not in files.namelist():
                found = ", ".join(files.namelist()[:5]) or "nothing"
                raise CheckpointError(f"{origin}: expected a file {name} inside, found {found}")
            return files.read(name)
    except zipfile.BadZipFile:
        raise CheckpointError(f"{origin}: expected a zip archive, found {len(archive)} bytes that are none") from None


def check(content: bytes, published: Published, origin: str) -> None:
    """Raise CheckpointError unless `content` has the SHA-1 that GluonCV gives."""
    found = hashlib.sha1(content).hexdigest()
    if found != published.sha1:
        raise CheckpointError(
            f"{origin}: expected weights with SHA-1 {published.sha1}, found {found}; they are not used "
            f"(name them {published.name}.params if they are your own)"
        )


def _advice(published: Published, folder: Path, error: Exception) -> str:
    return (
        f"{published.name}: expected its weights in {folder} or from a server, found neither ({error}). Get "
        f"{published.stem}.zip, unpack it, and put {published.stem}.params (SHA-1 {published.sha1}) into {folder}; "
        f"or set MXNET_GLUON_REPO to the address of a mirror that has gluon/models/{published.stem}.zip; "
        f"or put weights of your own there as {published.name}.params"
    )
