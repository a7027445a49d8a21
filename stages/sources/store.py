"""Where photos are read from: a folder, an archive or a bucket, behind one interface."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from stages.core.batches import ordered_thread_map
from stages.core.errors import UserError
from stages.images.images import ImageError, image_id

# Names of archives that are read where they lie; the suffix decides, as it does for `tar` and file managers.
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_OTHER_ARCHIVES = (".7z", ".rar", ".tar.zst", ".tar.lz4", ".gz", ".bz2", ".xz", ".zst")
# `dvc exp run --temp`, its queue and the commands of this project run clones below this folder of the project.
_CLONES = (".dvc", "tmp", "exps")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class SourceError(UserError):
    """A source as a whole cannot be used; one line."""


class ListedFile(NamedTuple):
    """A file of a source; `path` is relative to the root, `reason` empty or why the file cannot be read."""

    path: str
    reason: str


class Store(Protocol):
    """The files of one source, read by any number of threads at once.

    `root` names the source in messages. A path is relative to it, with forward slashes.
    """

    root: str

    def list_files(self) -> list[ListedFile]:
        """Every visible file, sorted by path.

        Hidden files (a part of the path begins with a dot) and `__MACOSX` are left out. A file that cannot be read
        has a reason: `missing` (a dangling link), `unreadable`, `not_a_file` (a pipe, a device), `link_loop` (a link
        to a folder that holds it), `outside` (a path that leaves the source), `bad_name` (a path such as `a//b`, which
        no folder could hold). A folder has an entry `folder/` where it is unreadable, or empty: `empty_folder`. Raises
        SourceError when the source cannot be listed.
        """

    def version(self, path: str) -> str:
        """What changes when the bytes do: "sha256:" and 64 hex digits or, of buckets, "etag:" and the server's ETag.

        Raises ImageError as `load` does.
        """

    def known_versions(self, paths: Iterable[str]) -> dict[str, str]:
        """The versions, by path, of those files that earlier runs have hashed and that did not change since.

        One call for all of them takes a fraction of the time of `version` for each.
        """

    def load(self, path: str, expected_id: str | None = None) -> bytes:
        """The bytes of a file, at most `images.MAX_BYTES`.

        `expected_id` may end in "-2", "-3" (the second, the third object of a photo), which is not compared. Raises
        ImageError with the reason `missing`, `not_a_file`, `unreadable`, `too_large`, `outside`, `bad_name`, or
        `changed` where the bytes have another id.
        """


def is_url(source: str) -> bool:
    """Whether a source is a URL; else it is a local path."""
    return _URL.match(source) is not None


def screen(path: str) -> str:
    """The reason why a path cannot be used below the root of any source; empty if it can."""
    if not ("/." in path or "//" in path or path[:1] in "/." or path[1:3] == ":/" or path[-1:] == "/" or "\0" in path):
        return ""  # what nearly all paths are, in a third of the time
    parts = path.removesuffix("/").split("/")
    if path.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:/", path):
        return "outside"
    return "bad_name" if "" in parts or "." in parts or "\0" in path else ""


def is_hidden(path: str) -> bool:
    """Whether a part of a path begins with a dot, or is the folder that macOS adds to archives."""
    if path[:1] != "." and "/." not in path and "__MACOSX" not in path:
        return False
    return any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in path.split("/"))


def listing(reasons: Iterable[tuple[str, str]], folders: Iterable[str]) -> list[ListedFile]:
    """The visible ones of some files, given by path and reason, sorted by path.

    `folders`, without a slash at the end, are listed as empty where they hold nothing visible. They are looked at when
    all files were.
    """
    files = [ListedFile(path, reason or screen(path)) for path, reason in reasons if not is_hidden(path)]
    shown_folders = {folder for folder in folders if not is_hidden(folder)}
    inner = {path.rpartition("/")[0] for path in chain((path for path, _ in files), shown_folders)}
    holders = inner | {folder[:end] for folder in inner for end in _slashes(folder)}
    files += (ListedFile(f"{folder}/", screen(folder) or "empty_folder") for folder in shown_folders - holders)
    files.sort()
    return files


def _slashes(path: str) -> list[int]:
    return [index for index, character in enumerate(path) if character == "/"]


def require_usable(root: str, path: str) -> None:
    """Raise ImageError unless `path` lies below the root: it may come from a table that anyone wrote."""
    if reason := screen(path):
        raise ImageError(reason, f"{root}: expected a path inside the source, found {path!r}")


def require_id(name: str, content: bytes, expected_id: str | None) -> None:
    """Raise ImageError with the reason `changed` unless the bytes are those of `expected_id`, if it is given."""
    if expected_id is not None and image_id(content) != photo_id(expected_id):
        raise ImageError("changed", f"{name}: expected the bytes of {expected_id}; run `dvc repro` again")


def photo_id(object_id: str) -> str:
    """The id of the photo of an object: "0123456789abcdef" of "0123456789abcdef-2"."""
    return object_id.partition("-")[0]


def load_many(
    store: Store, files: Iterable[tuple[str, str | None]], ahead: int = 16
) -> Iterator[tuple[str, bytes | ImageError]]:
    """Yield (path, bytes or the error) of each (path, expected id), in order, while the next `ahead` are being read.

    For buckets, whose answers take longer to arrive than to decode.
    """

    def load(file: tuple[str, str | None]) -> bytes | ImageError:
        try:
            return store.load(*file)
        except ImageError as error:
            return error

    for (path, _), content in ordered_thread_map(load, files, ahead, threads=ahead):
        yield path, content


def split_archive(source: str) -> tuple[str, str] | None:
    """A path or URL split behind the first part that is named like an archive; None if no part is.

    "photos/cars.zip/cars" gives ("photos/cars.zip", "cars"). A local folder so named is no archive.
    """
    for end in (*_slashes(source), len(source)):
        name = source[:end]
        if name.lower().endswith(ARCHIVE_SUFFIXES) and (is_url(source) or not Path(name).is_dir()):
            return name, source[end:].strip("/")
    return None


def resolve(source: str) -> str:
    """The source as seen from the working directory; in a clone of an experiment, that of the project itself.

    Photos in the project's folder that Git and DVC do not track are not in the clone, which lies in
    `<project>/.dvc/tmp/exps/`. A URL, an absolute path and a path that exists come back as they are.
    """
    folder = Path.cwd()
    positions = [i for i in range(len(folder.parts)) if folder.parts[i : i + len(_CLONES)] == _CLONES]
    if is_url(source) or Path(source).is_absolute() or _exists(source) or not positions:
        return source
    original = str(Path(*folder.parts[: positions[-1]]) / source)
    return original if _exists(original) else source


def _exists(source: str) -> bool:
    archive = split_archive(source)
    return Path(archive[0] if archive else source).exists()


def open_store(source: str, hash_cache: Path | None = None) -> Store:
    """The store of a folder, an archive (zip, tar, compressed tar) or a URL that fsspec knows, such as s3://.

    Of any other file, such as a table or an annotation file, it is the store of its folder. A folder inside an archive
    follows the archive's name: "cars.zip/cars". `resolve` is applied. `hash_cache` is a file that keeps the hashes of
    files between runs. Raises SourceError.
    """
    # Imported here: these modules import this one, and fsspec takes a third of a second.
    from stages.sources.archives import open_archive
    from stages.sources.folder import FolderStore

    if source.lower().startswith("file://"):
        source = source[len("file://") :]
    if is_url(source):
        from stages.sources.buckets import open_url

        return open_url(source, hash_cache)
    found = resolve(source)
    archive = split_archive(found)
    path = Path(archive[0] if archive else found)
    if not path.exists():
        raise SourceError(missing_text(source))
    if not (path.is_dir() or path.is_file()):
        raise SourceError(f"{source}: expected a folder or a file, found a pipe or a device")
    if archive:
        return open_archive(path, archive[1], hash_cache)
    if path.is_file() and path.name.lower().endswith(_OTHER_ARCHIVES):
        raise SourceError(f"{source}: expected a folder or a zip or tar archive; unpack this file")
    return FolderStore(path if path.is_dir() else path.parent, hash_cache)


def missing_text(source: str) -> str:
    """The line for a local source that does not exist."""
    return (
        f"{source}: expected a folder of photos, an archive or a table, found nothing; photos that are not under "
        f"version control are not in a clone (`dvc add {PurePosixPath(source)}`)"
    )
