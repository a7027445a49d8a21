"""Photographs as files give them, brought to upright 8-bit RGB arrays; arrays written back to files."""

import hashlib
import io
import re
import stat
import struct
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import BoundedSemaphore
from typing import NamedTuple

import cv2
import numpy as np
import pi_heif
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile

from stages.core.archive import Archive, ArchiveError

# A picture of more pixels is refused before it is decoded: a small file can claim to be an enormous one.
MAX_PIXELS = 200_000_000
# As many pixels need no more bytes than this, unpacked; a film among the photos does.
MAX_BYTES = 3 * MAX_PIXELS
# Pictures that are larger than this once decoded take turns, two at a time: else each thread would hold one.
_LARGE_PIXELS = 25_000_000
_LARGE_TURNS = BoundedSemaphore(2)
_STRIP_ROWS = 64
# Pillow knows more, but to open some of those, such as PostScript, it runs other programs on the file.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF")
# An item of a HEIC file whose four letters of type are no ASCII: pi-heif 1.4.0 ends the process on it. The letters
# follow the box's size, its name, a version, flags, an id and a place in a list.
_FATAL_ITEM = re.compile(rb"\0\0[\0-\3].infe(?:[\0-\2].{7}|[^\0-\2].{9})(?=.{0,3}[\x80-\xff])", re.DOTALL)
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")
# What brings a picture upright, by its EXIF orientation; OpenCV's are several times as fast as Pillow's.
_TURNS: dict[object, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda image: cv2.flip(image, 1),
    3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
    4: lambda image: cv2.flip(image, 0),
    5: cv2.transpose,
    6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    7: lambda image: cv2.rotate(cv2.transpose(image), cv2.ROTATE_180),
    8: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
# What Pillow's plugins raise on damaged files; UnidentifiedImageError is an OSError.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, RuntimeError, struct.error)
_JPEG_OPTIONS = [
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]
_OPTIONS = {".jpg": _JPEG_OPTIONS, ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3]}

Image.MAX_IMAGE_PIXELS = None
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)

# How much of a photo's resolution is enough, as a share, from its upright width and height: 0.25 for a quarter of each.
Enough = Callable[[tuple[int, int]], float]


class ImageError(ValueError):
    """A file is no picture that can be used; `reason` is a short code for tables, the text says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail

    def of(self, name: str) -> "ImageError":
        """The same error, telling the name of what it is about."""
        return ImageError(self.reason, f"{name}: {self.detail}")


class DecodedPhoto(NamedTuple):
    """An upright `picture`, `(H, W, 3)` uint8 RGB, perhaps at reduced scale; `size_wh` is the photo's full size."""

    picture: np.ndarray
    size_wh: tuple[int, int]


def image_id(content: bytes) -> str:
    """The first 16 hex digits of the SHA-256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()[:16]


def at_least(side: int) -> Enough:
    """Enough for a picture whose longer side has `side` pixels."""
    return lambda size_wh: side / max(size_wh)


def decode(content: bytes) -> np.ndarray:
    """Decode a file's bytes into an upright picture of full size, `(H, W, 3)` uint8 RGB; see `decode_photo`."""
    return decode_photo(content, lambda _: 1.0).picture


def decode_photo(content: bytes, enough: Enough) -> DecodedPhoto:
    """Decode a file's bytes into an upright photo, at 1/2, 1/4 or 1/8 of its size where that is `enough`.

    Only JPEG files come smaller, from the low frequencies of their blocks: less memory and time, and the whole
    file is still read. EXIF orientation is applied; grey, palette, CMYK and 16-bit pictures become 8-bit RGB;
    transparent parts show white; the first picture of an animation counts. Raises ImageError with the reason
    `empty_file`, `not_an_image`, `truncated` or `too_large`.
    """
    picture = _open(content)
    try:
        size_wh = _reduce(picture, enough) if isinstance(picture, JpegImageFile) else None
        with _LARGE_TURNS if picture.width * picture.height > _LARGE_PIXELS else nullcontext():
            picture.load()
            turn = _TURNS.get(_orientation(picture), np.asarray)
            image = _to_rgb(picture)
            picture.close()
            image = turn(image)
    except _BROKEN as error:
        raise ImageError("truncated", str(error)) from None
    return DecodedPhoto(image, size_wh or (image.shape[1], image.shape[0]))


def _open(content: bytes) -> Image.Image:
    if not content:
        raise ImageError("empty_file", "the file has no bytes")
    if content[4:8] == b"ftyp" and _FATAL_ITEM.search(content):
        raise ImageError("not_an_image", "a HEIC item without a type")
    try:
        picture = Image.open(io.BytesIO(content), formats=_FORMATS)
    except _BROKEN as error:
        raise ImageError("not_an_image", str(error)) from None
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageError("too_large", f"{picture.width} x {picture.height} pixels, at most {MAX_PIXELS}")
    return picture


def _reduce(picture: JpegImageFile, enough: Enough) -> tuple[int, int]:
    """Have the picture decoded at the smallest scale that is enough; its full upright size."""
    width, height = picture.size
    size_wh = (height, width) if _orientation(picture) in (5, 6, 7, 8) else (width, height)
    share = enough(size_wh)
    divisor = max(divisor for divisor in (1, 2, 4, 8) if divisor == 1 or divisor * share <= 1)
    picture.draft(None, (max(width // divisor, 1), max(height // divisor, 1)))
    return size_wh


def _orientation(picture: Image.Image) -> object:
    """The EXIF orientation; 1, upright, where the EXIF data cannot be read: the picture still can."""
    try:
        return picture.getexif().get(ExifTags.Base.Orientation, 1)
    except _BROKEN:
        return 1


def _to_rgb(picture: Image.Image) -> np.ndarray:
    """Any mode to `(H, W, 3)` uint8, in strips: whole, each step on the way would copy a large picture."""
    image = np.empty((picture.height, picture.width, 3), np.uint8)
    for top in range(0, picture.height, _STRIP_ROWS):
        rows = image[top : top + _STRIP_ROWS]
        rows[:] = _strip_to_rgb(picture.crop((0, top, picture.width, top + len(rows))))
    return image


def _strip_to_rgb(strip: Image.Image) -> np.ndarray:
    if strip.mode in _SIXTEEN_BIT:
        values = np.asarray(strip).astype(np.float32)
        return (values / 257).round().clip(0, 255).astype(np.uint8)[..., None]
    if strip.has_transparency_data:
        layer = strip.convert("RGBA")
        strip = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(strip.convert("RGB"))


def load(path: Path, expected_id: str | None = None) -> bytes:
    """Read a file's bytes.

    Raises ImageError with the reason `missing` when there is none, `not_a_file` for a folder, a pipe and the
    like, which might be read from for ever, `unreadable` when the system refuses, `too_large` when it has more than
    MAX_BYTES, and `changed` when its bytes are not those that `expected_id` was made from.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise ImageError("not_a_file", f"{path}: a folder, a pipe or a device")
        if facts.st_size > MAX_BYTES:
            raise ImageError("too_large", f"{path}: {facts.st_size} bytes, at most {MAX_BYTES}")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError("missing", f"{path}: {error.strerror}") from None
    except OSError as error:
        raise ImageError("unreadable", f"{path}: {error.strerror}") from None
    if expected_id is not None and image_id(content) != expected_id:
        raise ImageError("changed", f"{path}: expected the bytes of {expected_id}; run `dvc repro -f ingest`")
    return content


def stored(pictures: Archive, name: str) -> bytes:
    """The bytes of a picture that a stage wrote. Raises ImageError with the reason `missing` or `truncated`."""
    try:
        return pictures.read(name)
    except ArchiveError as error:
        raise ImageError(error.reason, str(error)) from None


def stored_picture(pictures: Archive, name: str) -> np.ndarray:
    """A picture that a stage wrote, `(H, W, 3)` uint8 RGB. Raises ImageError as `stored` and `decode` do."""
    content = stored(pictures, name)
    try:
        return decode(content)
    except ImageError as error:
        raise error.of(f"{pictures.path}: {name}") from None


def stored_mask(pictures: Archive, name: str) -> np.ndarray:
    """A mask or map that a stage wrote, `(H, W)` uint8. Raises ImageError as `stored` and `decode_mask` do."""
    content = stored(pictures, name)
    try:
        return decode_mask(content)
    except ImageError as error:
        raise error.of(f"{pictures.path}: {name}") from None


def stored_size_wh(pictures: Archive, name: str) -> tuple[int, int]:
    """Width and height in pixels of a picture that a stage wrote, from its header alone. Raises ImageError."""
    content = stored(pictures, name)
    try:
        with _open(content) as picture:
            return picture.size
    except ImageError as error:
        raise error.of(f"{pictures.path}: {name}") from None


def decode_mask(content: bytes) -> np.ndarray:
    """Decode an 8-bit mask, `(H, W)` uint8, 255 = wholly the object. Raises ImageError, reason `not_an_image`."""
    mask = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) if content else None
    if mask is None:
        raise ImageError("not_an_image", "expected an 8-bit PNG mask")
    return np.asarray(mask)


def read_mask(path: Path) -> np.ndarray:
    """Read a file as `decode_mask` decodes its bytes. Raises ImageError as `load` and `decode_mask` do, naming it."""
    content = load(path)
    try:
        return decode_mask(content)
    except ImageError as error:
        raise error.of(str(path)) from None


def encode(image: np.ndarray, suffix: str) -> bytes:
    """Encode `(H, W, 3)` uint8 RGB or `(H, W)` uint8 as ".jpg" (quality 95, full colour) or ".png".

    The settings are fixed, so equal pictures give equal bytes. Raises ValueError on an array that is no picture.
    """
    if image.dtype != np.uint8 or image.size == 0 or image.shape[2:] not in ((), (3,)) or image.ndim < 2:
        raise ValueError(f"expected (H, W, 3) or (H, W) uint8, found {image.dtype} {image.shape}")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return cv2.imencode(suffix, bgr, _OPTIONS[suffix])[1].tobytes()
