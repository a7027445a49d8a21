"""The files of a multipart request, read into memory: no photo is written to a disk."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from stages.commands.serving.limits import ServingLimits
from stages.commands.serving.monitoring import ServerMetrics

FIELD = "files"
_MAX_NAME = 255


class Upload(NamedTuple):
    """A file of a request, its name as it was sent."""

    name: str
    content: bytes


class _MemoryParser(MultiPartParser):
    # Starlette's own would write larger files to a temporary folder.
    spool_max_size = 2**62
    is_complete = False

    def on_end(self) -> None:
        """Called at the last boundary."""
        self.is_complete = True

    def require_complete(self) -> None:
        """Raise MultiPartException where the last boundary is missing: a file may have lost its end."""
        if not self.is_complete:
            for file in self._files_to_close_on_error:
                file.close()
            raise MultiPartException("the last boundary is missing")


class UploadBudget:
    """The bytes of all requests in work, so that their number cannot exhaust the memory."""

    def __init__(self, limits: ServingLimits, metrics: ServerMetrics) -> None:
        self._limits, self._metrics, self._reserved = limits, metrics, 0

    @contextmanager
    def reserve(self, n_bytes: int) -> Iterator[None]:
        """Reserve bytes for a request until its response is sent. Raises HTTPException 429 if there are too few."""
        if self._reserved + n_bytes > self._limits.max_upload_bytes:
            message = "expected memory for the upload, found all of it in use; try again in 1 s"
            raise HTTPException(429, message, {"Retry-After": "1"})
        self._change(n_bytes)
        try:
            yield
        finally:
            self._change(-n_bytes)

    def _change(self, n_bytes: int) -> None:
        self._reserved += n_bytes
        self._metrics.upload_bytes.set(self._reserved)


def declared_bytes(request: Request, limits: ServingLimits) -> int:
    """The bytes that a request may have: as it declares, or the limit. Raises HTTPException 413 beyond the limit."""
    declared = request.headers.get("content-length", "")
    # The server refuses lengths that are no numbers before this is called.
    n_bytes = int(declared) if declared.isdecimal() else limits.max_request_bytes
    if n_bytes > limits.max_request_bytes:
        raise _too_large(limits)
    return n_bytes


async def read(request: Request, limits: ServingLimits) -> list[Upload]:
    """Read the files of a request, in order.

    Raises HTTPException: 415 for another type than multipart/form-data, 413 for too many bytes, 400 for what is no
    multipart, has too many files or none, or other fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise HTTPException(415, f"expected multipart/form-data, found {kind or 'no content type'!r}")
    parser = _MemoryParser(request.headers, _limited(request, limits), max_files=limits.max_files, max_fields=1)
    try:
        form = await parser.parse()
        parser.require_complete()
    except MultiPartException as error:
        raise HTTPException(400, f"expected files as multipart/form-data, found: {error.message}") from None
    # The sender names the encoding of names, which may be one that cannot decode them.
    except (UnicodeError, LookupError):
        raise HTTPException(400, "expected names of files in UTF-8, found others") from None
    try:
        return [Upload(_name(file), await file.read()) for file in _files(form.multi_items())]
    finally:
        await form.close()


def _files(fields: list[tuple[str, UploadFile | str]]) -> list[UploadFile]:
    """The files of a form. Raises HTTPException 400 for other fields and where there is no file."""
    files = [value for name, value in fields if name == FIELD and isinstance(value, UploadFile)]
    if not files or len(files) < len(fields):
        raise HTTPException(400, f"expected one or more files in the field `{FIELD}` and no other field")
    return files


async def _limited(request: Request, limits: ServingLimits) -> AsyncGenerator[bytes, None]:
    n_bytes = 0
    async for chunk in request.stream():
        n_bytes += len(chunk)
        if n_bytes > limits.max_request_bytes:
            raise _too_large(limits)
        yield chunk


def _too_large(limits: ServingLimits) -> HTTPException:
    return HTTPException(413, f"expected at most {limits.max_request_bytes} bytes in a request, found more")


def _name(file: UploadFile) -> str:
    """The file's name as text that JSON can carry: the sender chooses its encoding, which may give half characters."""
    return (file.filename or "")[:_MAX_NAME].encode("utf-8", "replace").decode("utf-8")
