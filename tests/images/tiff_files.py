"""Minimal TIFF files, uncompressed, in any depth and layout: Pillow and OpenCV write few of them."""

import struct

import numpy as np

_SHORT, _LONG, _DOUBLE, _FLOAT = 3, 4, 12, 11
_FORMS = {_SHORT: "H", _LONG: "I", _FLOAT: "f", _DOUBLE: "d"}
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, SAMPLES, ROWS, COUNTS = (
    256, 257, 258, 259, 262, 273, 277, 278, 279,
)  # fmt: skip
MAX_SAMPLE, PLANAR, EXTRA, FORMAT, S_MIN, S_MAX = 281, 284, 338, 339, 340, 341


def packed(values: np.ndarray, bits: int) -> bytes:
    """Rows of unsigned values of a few bits each, the highest bit first, every row filled up to a whole byte."""
    high_first = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(high_first.reshape(len(values), -1).astype(np.uint8), axis=1).tobytes()


def tiff(
    data: bytes | list[bytes],
    size_wh: tuple[int, int],
    bits: tuple[int, ...],
    photometric: int = 1,
    order: str = "<",
    **tags: tuple[int, float | tuple],
) -> bytes:
    """A TIFF of one strip, or of one strip for each plane, with further `tags`: name=(number, values)."""
    planes = [data] if isinstance(data, bytes) else data
    entries = {
        WIDTH: (_LONG, (size_wh[0],)), HEIGHT: (_LONG, (size_wh[1],)), BITS: (_SHORT, bits),
        COMPRESSION: (_SHORT, (1,)),
        PHOTOMETRIC: (_SHORT, (photometric,)), SAMPLES: (_SHORT, (len(bits),)), ROWS: (_LONG, (size_wh[1],)),
        OFFSETS: (_LONG, tuple(8 + sum(map(len, planes[:place])) for place in range(len(planes)))),
        COUNTS: (_LONG, tuple(map(len, planes))),
    }  # fmt: skip
    if len(planes) > 1:
        entries[PLANAR] = _SHORT, (2,)
    for number, values in tags.values():
        values = values if isinstance(values, tuple) else (values,)
        entries[number] = (_DOUBLE if any(isinstance(value, float) for value in values) else _SHORT), values
    start = 8 + sum(map(len, planes)) + sum(map(len, planes)) % 2
    return struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, start) + b"".join(planes).ljust(
        start - 8, b"\0"
    ) + _directory(entries, start, order)  # fmt: skip


def _directory(entries: dict[int, tuple[int, tuple]], start: int, order: str) -> bytes:
    head, tail = struct.pack(f"{order}H", len(entries)), b""
    after = start + 2 + 12 * len(entries) + 4
    for number, (kind, values) in sorted(entries.items()):
        content = struct.pack(f"{order}{len(values)}{_FORMS[kind]}", *values)
        if len(content) > 4:
            place, tail = after + len(tail), tail + content + bytes(len(content) % 2)
            content = struct.pack(f"{order}I", place)
        head += struct.pack(f"{order}HHI", number, kind, len(values)) + content.ljust(4, b"\0")
    return head + bytes(4) + tail
