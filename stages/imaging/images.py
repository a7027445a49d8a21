"""Photographs as files give them, brought to upright 8-bit RGB arrays; arrays written back to files."""

import hashlib
import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from stages.records import atomic

# A picture of more pixels is refused before it is decoded: a small file can claim to be an enormous one.
MAX_PIXELS = 200_000_000
# Pillow knows more, but to open some of those, such as PostScript, it runs other programs on the file.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_JPEG_OPTIONS = [
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]
_OPTIONS = {".jpg": _JPEG_OPTIONS, ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3]}

Image.MAX_IMAGE_PIXELS = None


class ImageError(ValueError):
    """A file is no picture that can be used; `reason` is a short code for tables, the text says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def image_id(content: bytes) -> str:
    """The first 16 hex digits of the SHA-256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()[:16]


def decode(content: bytes) -> np.ndarray:
    """Decode a file's bytes into an upright picture, `(H, W, 3)` uint8 RGB.

    EXIF orientation is applied; grey, palette, CMYK and 16-bit pictures become 8-bit RGB; transparent
    parts show white. Raises ImageError with the reason `empty_file`, `not_an_image`, `truncated` or `too_large`.
    """
    if not content:
        raise ImageError("empty_file", "the file has no bytes")
    try:
        picture = Image.open(io.BytesIO(content), formats=_FORMATS)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise ImageError("not_an_image", str(error)) from None
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageError("too_large", f"{picture.width} x {picture.height} pixels, at most {MAX_PIXELS}")
    try:
        picture.load()
        return np.asarray(_to_rgb(ImageOps.exif_transpose(picture)))
    except (OSError, ValueError, SyntaxError, EOFError, IndexError) as error:
        raise ImageError("truncated", str(error)) from None


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in _SIXTEEN_BIT:
        values = np.asarray(picture).astype(np.float32)
        return Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture.convert("RGB")


def read(path: Path, expected_id: str | None = None) -> np.ndarray:
    """Read a file into an upright picture, `(H, W, 3)` uint8 RGB.

    Raises ImageError as `decode` does, with the reason `missing` when there is no file, and `changed` when
    its bytes are not those that `expected_id` was made from.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError("missing", f"{path}: {error.strerror}") from None
    if expected_id is not None and image_id(content) != expected_id:
        raise ImageError("changed", f"{path}: expected the bytes of {expected_id}; run `dvc repro -f ingest`")
    return decode(content)


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of a picture that a stage wrote, from its header alone. Raises ImageError."""
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            return picture.size
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError("missing", f"{path}: expected a picture; run `dvc repro`: {error}") from None


def read_mask(path: Path) -> np.ndarray:
    """Read an 8-bit mask, `(H, W)` uint8, 255 = wholly the object. Raises ImageError when it cannot be read."""
    content = np.fromfile(path, dtype=np.uint8) if path.is_file() else np.empty(0, np.uint8)
    mask = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if content.size else None
    if mask is None:
        raise ImageError("missing", f"{path}: expected an 8-bit PNG mask; run `dvc repro`")
    return np.asarray(mask)


def encode(image: np.ndarray, suffix: str) -> bytes:
    """Encode `(H, W, 3)` uint8 RGB or `(H, W)` uint8 as ".jpg" (quality 95, full colour) or ".png".

    The settings are fixed, so equal pictures give equal bytes. Raises ValueError on an array that is no picture.
    """
    if image.dtype != np.uint8 or image.size == 0 or image.shape[2:] not in ((), (3,)) or image.ndim < 2:
        raise ValueError(f"expected (H, W, 3) or (H, W) uint8, found {image.dtype} {image.shape}")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return cv2.imencode(suffix, bgr, _OPTIONS[suffix])[1].tobytes()


def write(path: Path, image: np.ndarray) -> None:
    """Write `(H, W, 3)` uint8 RGB or `(H, W)` uint8 to a .jpg or .png, atomically; see `encode`."""
    atomic.write_bytes(path, encode(image, path.suffix))
