"""Photos behind a URL that fsspec knows: s3://, gs://, http:// and others. Credentials come from the environment."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.callbacks import TqdmCallback

from stages.core.batches import ordered_thread_map
from stages.images.images import MAX_BYTES, ImageError
from stages.sources import archives
from stages.sources.bucket_errors import cause_of, is_missing, require_no_secrets
from stages.sources.hash_cache import sha256
from stages.sources.store import (
    ARCHIVE_SUFFIXES,
    ListedFile,
    SourceError,
    Store,
    listing,
    require_id,
    require_usable,
    split_archive,
)

Value = TypeVar("Value")
# Folders listed at once, and connections: as many as the readers of `load_many` need, and some more.
_AHEAD = 16
_CONNECTIONS = 64
# Deeper folders come from links that lead back, which a server does not show.
_MAX_DEPTH = 64
# One request for a file; the size, which another request would ask for, is known from the listing.
_S3_OPTIONS = {"max_concurrency": 1, "config_kwargs": {"max_pool_connections": _CONNECTIONS}}
# s3fs tries again after botocore has given up; five times, its default, are six minutes where a server is silent.
_RETRIES = 2
_OPTIONS: dict[str, dict[str, Any]] = {"s3": _S3_OPTIONS, "s3a": _S3_OPTIONS}


class BucketStore:
    """The files below a folder of a file system of fsspec. Implements `store.Store`.

    The version is the ETag of the listing; where a server gives none, not even for a single file, it is the SHA-256
    of the bytes.
    """

    def __init__(self, file_system: fsspec.AbstractFileSystem, folder: str, url: str) -> None:
        self.root = url if url.endswith("://") else url.rstrip("/")
        self._files, self._folder = file_system, folder.rstrip("/")
        self._is_web = _is_web(file_system)
        self._infos: dict[str, dict[str, Any]] = {}

    def list_files(self) -> list[ListedFile]:
        """As `Store.list_files`. Keys that end in a slash are folders; what no folder could hold has a reason."""
        with _one_line(f"list {self.root}"):
            infos = self._find()
        reasons: dict[str, str] = {}
        folders: set[str] = set()
        for name, info in infos.items():
            path = self._path(name)
            if info["type"] == "directory" or (path.endswith("/") and not info.get("size")):
                folders |= {path.rstrip("/")} - {""}
            elif path:
                reasons[path], self._infos[path] = "", info
                # fsspec would take the rest of such a key for a version.
                if path.endswith("/") or "?versionId=" in path:
                    reasons[path] = "bad_name"
        return listing(reasons.items(), folders)

    def version(self, path: str) -> str:
        """As `Store.version`."""
        require_usable(self.root, path)
        info = self._infos.get(path, {})
        if not _etag(info):
            info = self._request(path, lambda: self._files.info(self._name(path)))
            if info["type"] == "directory":
                raise ImageError("not_a_file", f"{self.root}/{path}: a folder")
        etag = _etag(info)
        return f"etag:{etag}" if etag else f"sha256:{sha256(self.load(path))}"

    def known_versions(self, paths: Iterable[str]) -> dict[str, str]:  # noqa: ARG002 - as of the other stores
        """As `Store.known_versions`: none, for the listing of a server gives its ETags without reading a file."""
        return {}

    def load(self, path: str, expected_id: str | None = None) -> bytes:
        """As `Store.load`, in one request."""
        require_usable(self.root, path)
        name, size = f"{self.root}/{path}", self._infos.get(path, {}).get("size")
        content = b""
        if size is None or 0 < size <= MAX_BYTES:
            content = self._request(path, lambda: self._read(self._name(path)))
        if max(len(content), size or 0) > MAX_BYTES:
            raise ImageError("too_large", f"{name}: {size or 'more'} bytes, at most {MAX_BYTES}")
        require_id(name, content, expected_id)
        return content

    def _read(self, name: str) -> bytes:
        try:
            return bytes(self._files.cat_file(name, start=0, end=MAX_BYTES + 1))
        except FileNotFoundError:
            if self._files.isdir(name):
                raise IsADirectoryError from None
            raise
        except OSError:
            # Servers refuse a range of an empty file.
            if self._files.info(name)["size"] != 0:
                raise
            return b""

    def _request(self, path: str, request: Callable[[], Value]) -> Value:
        name = f"{self.root}/{path}"
        try:
            if path.endswith("/"):
                raise IsADirectoryError
            return request()
        except IsADirectoryError:
            raise ImageError("not_a_file", f"{name}: a folder") from None
        # Each file system of fsspec has exceptions of its own; those of a photo must not end a run.
        except Exception as error:
            raise ImageError("missing" if is_missing(error) else "unreadable", f"{name}: {cause_of(error)}") from None

    def _find(self) -> dict[str, dict[str, Any]]:
        """Information by the name of each file and folder below the root; no error on the way is left out."""
        find = getattr(type(self._files), "_find", None)
        if find is not None and find is not AsyncFileSystem._find:
            # Object stores list all keys, a thousand by request, whatever folders they lie in.
            found: dict[str, dict[str, Any]] = self._files.find(self._folder, detail=True)
            return found
        infos: dict[str, dict[str, Any]] = {}
        level = [self._folder + "/" * self._is_web]
        for _ in range(_MAX_DEPTH):
            lists = ordered_thread_map(lambda name: self._files.ls(name, detail=True), level, _AHEAD, threads=_AHEAD)
            inside = [info for folder, entries in lists for info in entries if self._is_inside(folder, info["name"])]
            infos |= {info["name"]: info for info in inside}
            level = [info["name"] for info in inside if info["type"] == "directory"]
            if not level:
                return infos
        raise SourceError(
            f"{self.root}: expected at most {_MAX_DEPTH} folders in each other, found more: a loop of links?"
        )

    def _is_inside(self, folder: str, name: str) -> bool:
        """Whether an entry lies in a folder: some list the folder too, and indexes on the web have links that sort."""
        return name.rstrip("/") != folder.rstrip("/") and not (self._is_web and re.search("[?#]", name))

    def _path(self, name: str) -> str:
        path = name.removeprefix("/").removeprefix(self._folder.removeprefix("/")).removeprefix("/")
        return unquote(path) if self._is_web else path

    def _name(self, path: str) -> str:
        name = self._infos.get(path, {}).get("name")
        return name or f"{self._folder}/{quote(path) if self._is_web else path}"


def open_url(url: str, hash_cache: Path | None) -> Store:
    """The store of a folder, a file or an archive at a URL, which must hold no secrets. Raises SourceError."""
    require_no_secrets(url)
    scheme, _, rest = url.partition(":")
    url = f"{scheme.lower()}:{rest}"
    if re.search(r"::\w", url) and "[" not in url:
        raise SourceError(f"{url}: expected one URL, found several joined by `::`; name the archive itself")
    file_system = _file_system(url)
    archive = split_archive(url)
    if archive and not (archive[1] and _is_folder(file_system, archive[0])):
        return archives.open_archive(_download(file_system, archive[0]), archive[1], hash_cache, archive[0])
    if _is_folder(file_system, url):
        return BucketStore(file_system, str(file_system._strip_protocol(url)), url)
    folder = url.rpartition("/")[0]
    return BucketStore(file_system, str(file_system._strip_protocol(folder)), folder)


def _file_system(url: str) -> fsspec.AbstractFileSystem:
    scheme = url.partition(":")[0]
    try:
        # A new instance: a cached one would answer with the listing and the credentials of an earlier one.
        options = {"skip_instance_cache": True, "use_listings_cache": False, **_OPTIONS.get(scheme, {})}
        file_system = fsspec.filesystem(scheme, **options)
        if hasattr(file_system, "retries"):
            file_system.retries = _RETRIES
        return file_system
    except ImportError as error:
        raise SourceError(f"{url}: expected the package for {scheme}://, found none: {error}") from None
    # An unknown scheme is a ValueError; a file system may raise anything on what it finds in the environment.
    except Exception as error:
        raise SourceError(f"{url}: cannot open {scheme}://: {cause_of(error)}") from None


def _is_folder(file_system: fsspec.AbstractFileSystem, url: str) -> bool:
    """Whether a URL names a folder; on the web, where the name has no suffix. One that names both is refused."""
    if url.endswith("/"):
        return True
    name = file_system._strip_protocol(url)
    with _one_line(f"open {url}"):
        info = file_system.info(name)
        is_folder = info["type"] == "directory"
        is_both = not is_folder and not _is_web(file_system) and file_system.isdir(name)
    if is_both:
        raise SourceError(f"{url}: expected a folder or a file, found both; write {url}/ for the folder")
    return is_folder or (_is_web(file_system) and "." not in url.rpartition("/")[2])


def _is_web(file_system: fsspec.AbstractFileSystem) -> bool:
    protocol = file_system.protocol
    return "http" in ((protocol,) if isinstance(protocol, str) else protocol)


def _etag(info: dict[str, Any]) -> str:
    return str(info.get("ETag") or info.get("etag") or "").strip('"')


def _download(file_system: fsspec.AbstractFileSystem, url: str) -> Path:
    """The local copy of an archive, downloaded again when its ETag is another, or when the server has none."""
    name = file_system._strip_protocol(url)
    with _one_line(f"download {url}"):
        etag = _etag(file_system.info(name))
        suffix = next(suffix for suffix in ARCHIVE_SUFFIXES if url.lower().endswith(suffix))
        target = archives.CACHE / f"{hashlib.sha256(f'{url} {etag}'.encode()).hexdigest()}{suffix}"
        if etag and target.exists():
            return target
        with archives.caching(target) as unfinished:
            bar = TqdmCallback({"desc": "download", "unit": "B", "unit_scale": True, "mininterval": 0.5})
            file_system.get_file(name, str(unfinished), callback=bar)
            if _etag(file_system.info(name)) != etag:
                raise SourceError(f"{url}: changed while it was downloaded; run the command again")
    return target


@contextmanager
def _one_line(operation: str) -> Iterator[None]:
    """Turn whatever a file system raises into a SourceError that names the operation."""
    try:
        yield
    except SourceError:
        raise
    # Each file system of fsspec has exceptions of its own.
    except Exception as error:
        raise SourceError(f"cannot {operation}: {cause_of(error)}") from None
