"""Pictures to the bytes of files: the usual encodings and the odd ones that people's folders hold."""

import io

import cv2
import numpy as np
from PIL import Image

Rgb = np.ndarray

_ORIENTATION_TAG = 0x0112
_TURN_CLOCKWISE = 6


def _encoded(extension: str, picture: np.ndarray, flags: list[int]) -> bytes:
    done, data = cv2.imencode(extension, picture, flags)
    if not done:
        raise ValueError(
            f"expected a picture that can be written as {extension}, found {picture.shape} {picture.dtype}"
        )
    return bytes(data.tobytes())


def jpeg(rgb: Rgb, quality: int) -> bytes:
    """An ordinary JPEG of an RGB picture (H, W, 3)."""
    return _encoded(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])


def mask_png(mask: np.ndarray) -> bytes:
    """An 8-bit PNG of a mask (H, W)."""
    return _encoded(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def truncated_jpeg(rgb: Rgb, quality: int) -> bytes:
    """The first 55 % of a JPEG's bytes."""
    whole = jpeg(rgb, quality)
    return whole[: int(0.55 * len(whole))]


def grey_jpeg(rgb: Rgb, quality: int) -> bytes:
    """A JPEG with one channel."""
    return _encoded(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), [cv2.IMWRITE_JPEG_QUALITY, quality])


def cmyk_jpeg(rgb: Rgb, quality: int) -> bytes:
    """A JPEG in CMYK, as print shops deliver them."""
    stream = io.BytesIO()
    Image.fromarray(rgb).convert("CMYK").save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def rotated_jpeg(rgb: Rgb, quality: int) -> bytes:
    """A JPEG stored on its side whose EXIF orientation (6) tells viewers to turn it clockwise."""
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = _TURN_CLOCKWISE
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.rot90(rgb))).save(stream, "JPEG", quality=quality, exif=exif)
    return stream.getvalue()


def png_16_bit(rgb: Rgb, quality: int) -> bytes:  # noqa: ARG001 - one signature for all encoders
    """An RGB PNG with 16 bits a channel."""
    wide = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR).astype(np.uint16) * 257
    return _encoded(".png", wide, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def png_rgba(rgb: Rgb, quality: int) -> bytes:  # noqa: ARG001 - one signature for all encoders
    """A PNG with an alpha channel that is opaque everywhere."""
    return _encoded(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 6])
