"""Encode images as files: the usual formats and rare ones."""

import io

import cv2
import numpy as np
from PIL import Image

Rgb = np.ndarray

_ORIENTATION_TAG = 0x0112
_TURN_CLOCKWISE = 6


def _encoded(extension: str, image: np.ndarray, flags: list[int]) -> bytes:
    is_encoded, data = cv2.imencode(extension, image, flags)
    if not is_encoded:
        raise ValueError(f"expected an image that can be written as {extension}, found {image.shape} {image.dtype}")
    return bytes(data.tobytes())


def jpeg(rgb: Rgb, quality: int) -> bytes:
    """A JPEG of an RGB image (H, W, 3)."""
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
    """A JPEG in CMYK, as used for printing."""
    stream = io.BytesIO()
    Image.fromarray(rgb).convert("CMYK").save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def rotated_jpeg(rgb: Rgb, quality: int) -> bytes:
    """A JPEG stored rotated, with the EXIF orientation 6: to be turned clockwise."""
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = _TURN_CLOCKWISE
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.rot90(rgb))).save(stream, "JPEG", quality=quality, exif=exif)
    return stream.getvalue()


def png_16_bit(rgb: Rgb, quality: int) -> bytes:  # noqa: ARG001 - one signature for all encoders
    """An RGB PNG with 16 bits per channel."""
    wide = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR).astype(np.uint16) * 257
    return _encoded(".png", wide, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def png_rgba(rgb: Rgb, quality: int) -> bytes:  # noqa: ARG001 - one signature for all encoders
    """A PNG with an alpha channel that is opaque everywhere."""
    return _encoded(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 6])
