"""Samples of other depths than 8 bits, scaled by the range that their file declares or its values show."""

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.TiffTags import TAGS_V2

from stages.images import jpeg
from stages.images.errors import BROKEN, ImageError

STRIP_ROWS = 64
# Values that all stay below this share of an undeclared range are of fewer bits, or a nearly black photo: which, the
# file does not say. 12 bits in words of 16 reach a sixteenth, 14 bits a quarter.
_MIN_BRIGHTEST = 0.25
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_TAG = {tag.name: number for number, tag in TAGS_V2.items()}
_SEPARATE = 2
_REASON = "unsupported_depth"


class Samples(NamedTuple):
    """What a file says of its samples: bits, whether they are unsigned, signed or float, and the declared range."""

    bits: int = 8
    kind: int = _UNSIGNED
    low: float = 0.0
    high: float | None = None
    is_white_zero: bool = False


class Range(NamedTuple):
    """The values that become 0 and 255; black is the higher one where white is zero."""

    black: float
    white: float
    is_uint32: bool = False


def strips(file: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in strips of STRIP_ROWS rows, each with its first row: work on the whole image would copy it."""
    for top in range(0, file.height, STRIP_ROWS):
        yield top, file.crop((0, top, file.width, min(top + STRIP_ROWS, file.height)))


def explain_unopened(content: bytes) -> str:
    """What in the depth or layout of a TIFF or JPEG file keeps Pillow from opening it; "" for any other file."""
    bits = jpeg.precision(content)
    if 8 < bits <= 16:
        return f"a JPEG of {bits} bits a sample"
    if not content.startswith(tuple(TiffImagePlugin.PREFIXES)):
        return ""
    try:
        tags = _directory(content)
        names = ("BitsPerSample", "SampleFormat", "PhotometricInterpretation", "PlanarConfiguration")
        required = ("ImageWidth", "ImageLength", "BitsPerSample", "PhotometricInterpretation")
        is_known = tags.get(_TAG["Compression"], 1) in TiffImagePlugin.COMPRESSION_INFO
        if not is_known or any(_TAG[name] not in tags for name in required):
            return ""
        return "a TIFF of " + ", ".join(f"{name} {tags[_TAG[name]]}" for name in names if _TAG[name] in tags)
    except BROKEN:
        return ""


def _directory(content: bytes) -> TiffImagePlugin.ImageFileDirectory_v2:
    tags = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if 43 in content[2:4] else 8])
    stream = io.BytesIO(content)
    stream.seek(tags.next)
    tags.load(stream)
    return tags


def samples(file: Image.Image) -> Samples:
    """What a file that is open but not yet loaded says of its samples.

    Raises ImageError with the reason `unsupported_depth` on layouts that Pillow would read wrongly.
    """
    if isinstance(file, TiffImagePlugin.TiffImageFile):
        return _tiff_samples(file)
    if isinstance(file, Jpeg2KImageFile) and (bits := _jpeg_2000_bits(file)) > 8 and not _is_grey(file):
        raise ImageError(_REASON, f"a colour JPEG 2000 of {bits} bits a sample; expected 8")  # Pillow 13: white is 0
    raw = str(file.tile)  # type: ignore[attr-defined]
    if file.mode == "L" and isinstance(file.info.get("transparency"), int) and ("L;2" in raw or "L;4" in raw):
        file.info["transparency"] *= 85 if "L;2" in raw else 17  # Pillow scales the pixels, but not this value
    if file.mode == "F":
        return Samples(32, _FLOAT)
    return Samples(16 if file.mode.startswith("I") or ";16" in raw else 8)


def _jpeg_2000_bits(file: Jpeg2KImageFile) -> int:
    """The bits of the first component, by the SIZ segment that follows the start of the codestream."""
    assert file.fp is not None
    place = file.fp.tell()
    file.fp.seek(0)
    content = file.fp.read()
    file.fp.seek(place)
    start = content.find(b"\xff\x4f\xff\x51")
    return (content[start + 42] & 0x7F) + 1 if 0 <= start < len(content) - 42 else 0


def _tiff_samples(file: TiffImagePlugin.TiffImageFile) -> Samples:
    def value(name: str, default: int) -> float:
        found = file.tag_v2.get(_TAG[name], default)
        return found[0] if isinstance(found, tuple) else found

    bits, kind = int(value("BitsPerSample", 1)), int(value("SampleFormat", _UNSIGNED))
    high = max(value("MaxSampleValue", 0), value("SMaxSampleValue", 0))
    # The highest value that occurs, or that could: the same number of bits either way.
    is_declared = high > 0 and (kind != _UNSIGNED or high < 2 ** (bits - 1))
    if kind == _UNSIGNED and is_declared:
        high = 2 ** int(high).bit_length() - 1
    is_grey = _is_grey(file)
    if bits > 8 and value("PlanarConfiguration", 1) == _SEPARATE and not is_grey:
        raise ImageError(_REASON, f"separate planes of {bits} bits a sample; expected 8 bits, or one plane")
    if not is_grey and (kind == _SIGNED or (bits > 8 and is_declared)):
        raise ImageError(_REASON, f"{bits} bits a sample, signed or up to {high:g}; expected unsigned, all bits used")
    if file.mode == "YCbCr" and file.tag_v2.get(_TAG["YCbCrSubSampling"], (2, 2)) != (1, 1):
        raise ImageError(_REASON, "YCbCr of reduced colour resolution, uncompressed; expected it compressed")
    low = value("SMinSampleValue", 0) if kind != _UNSIGNED and is_declared else 0
    is_white_zero = is_grey and value("PhotometricInterpretation", 0) == 0
    return Samples(bits, kind, low, high if is_declared else None, is_white_zero)


def value_range(file: Image.Image, found: Samples) -> Range | None:
    """The range of a loaded file's samples; None where Pillow has made 8 bits of them.

    Raises ImageError with the reason `unsupported_depth` where the range is not declared and the values could be of
    several, and where they lie outside the declared one.
    """
    if found.bits <= 8:
        return None
    is_uint32 = file.mode == "I" and found.bits == 32 and found.kind == _UNSIGNED
    lowest, highest = _extremes(file, is_uint32)
    full = 255 if not _is_grey(file) else 1 if found.kind == _FLOAT else 2**found.bits - 1
    low, high = found.low, found.high if found.high is not None else full
    is_bright = highest - low >= _MIN_BRIGHTEST * (high - low) > 0
    is_certain = found.bits not in (16, 32) or (found.high is not None and found.kind == _UNSIGNED)
    if not is_certain and (not is_bright or (found.high is None and found.kind == _SIGNED)):
        raise ImageError(_REASON, _both_readings(found.bits, lowest, highest, high))
    if not low <= lowest <= highest <= high:
        raise ImageError(_REASON, f"values {lowest:g} to {highest:g}; expected {low:g} to {high:g}, or 8 bits")
    if not _is_grey(file):
        return None
    return Range(high, low, is_uint32) if found.is_white_zero else Range(low, high, is_uint32)


def _both_readings(bits: int, lowest: float, highest: float, most: float) -> str:
    return (
        f"{bits} bits a sample, {most:.10g} at most; found {lowest:g} to {highest:g}: either fewer bits are in use or "
        "the photo is nearly black, and the file does not say which; save it with 8 bits"
    )


def _is_grey(file: Image.Image) -> bool:
    """Whether it has one channel that Pillow keeps with more than 8 bits."""
    return file.mode in ("I", "F") or file.mode.startswith("I;16")


def _extremes(file: Image.Image, is_uint32: bool) -> tuple[float, float]:
    """The lowest and the highest value of the colours; NaN where one is no number."""
    found = []
    for _, strip in strips(file):
        values = _values(strip, is_uint32)
        values = values[..., :3] if strip.mode == "RGBA" else values
        found.append((values.min(), values.max()))
    return float(np.min(found)), float(np.max(found))


def _values(strip: Image.Image, is_uint32: bool) -> np.ndarray:
    values = np.asarray(strip)
    return values.view(np.uint32) if is_uint32 else values


def to_8_bit(strip: Image.Image, found: Range) -> Image.Image:
    """A strip of one channel scaled to mode L, or to LA where one of its values stands for transparent parts."""
    values = _values(strip, found.is_uint32)
    scaled = (values.astype(np.float32) - found.black) / ((found.white - found.black) / 255)
    grey = Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8))
    transparent = strip.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey
