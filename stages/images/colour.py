"""Colours of a file's profile converted to sRGB, those that networks were trained on."""

import io
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms

from stages.images.errors import BROKEN

# A profile that changes no colour by more is sRGB itself, in one of its many versions: its files stay as they are.
_SRGB_TOLERANCE = 2
_PROFILES_KEPT = 16  # in memory, with their bytes; those for print have up to 3 MB
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")
_GREYS = np.arange(256, dtype=np.uint8)[None]
_INDEX, _ADOBE_RGB = 1, "R03"

ToRgb = Callable[[Image.Image], Image.Image]


class _Profile(NamedTuple):
    """The mode of the images that a profile is for, "" for a broken one; no function where it is sRGB."""

    mode: str
    to_rgb: ToRgb | None = None


def converter(file: Image.Image) -> tuple[ToRgb, str]:
    """A function from 8-bit images of a file's mode (no alpha) to RGB, by the file's profile, and a note or "".

    The note is `bad_colour_profile` where the profile is broken or for another kind of image, and
    `untagged_adobe_rgb` where the EXIF data alone say Adobe RGB: programs that convert to sRGB and drop the profile
    often leave that, so the pixels stay as they are. The chunks gAMA and cHRM of PNG, often wrong, are ignored too.
    """
    content = file.info.get("icc_profile")
    if not content:
        is_lost = "icc_profile" in file.info and content is None  # Pillow's word for one with parts missing
        return _plain, "bad_colour_profile" if is_lost else "untagged_adobe_rgb" if _is_adobe_rgb(file) else ""
    if file.mode == "LAB":  # a profile of LAB says nothing that the mode does not
        return _plain, ""
    profile = _read(content)
    is_grey = file.mode in _GREY_MODES or file.mode.startswith("I;16")
    fits = {"CMYK": file.mode == "CMYK", "L": is_grey, "RGB": file.mode != "CMYK"}.get(profile.mode, False)
    if not fits:
        return _plain, "bad_colour_profile"
    return profile.to_rgb or _plain, ""


def _plain(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


@lru_cache(_PROFILES_KEPT)
def _read(content: bytes) -> _Profile:
    """Relative colorimetric: colours that sRGB has come out exactly, and matrix profiles know no other intent.

    With black-point compensation, or the dark parts of profiles for print, whose black is grey, would all be one.
    """
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        mode = _MODES[profile.profile.xcolor_space]
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        if mode == "L":  # else Little CMS interpolates between 33 greys: wrong by 10 of 255 in dark linear ones
            flags |= ImageCms.Flags.NOOPTIMIZE
        srgb = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(profile, srgb, mode, "RGB", intent, flags)
        to_rgb = partial(_transform, mode, transform)
        if mode == "L":
            to_rgb = partial(_apply_table, np.asarray(to_rgb(Image.fromarray(_GREYS)))[0])
        return _Profile(mode, None if mode != "CMYK" and _changes_nothing(mode, to_rgb) else to_rgb)
    except (*BROKEN, ImageCms.PyCMSError):
        return _Profile("")


def _transform(mode: str, transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Image.Image:
    converted = ImageCms.applyTransform(image.convert(mode), transform)
    assert converted is not None  # as it is where the transform works in place
    return converted


def _apply_table(table: np.ndarray, image: Image.Image) -> Image.Image:
    return Image.fromarray(table[np.asarray(image.convert("L"))])


def _changes_nothing(mode: str, to_rgb: ToRgb) -> bool:
    """Whether all greys, or a grid of colours, stay as they are."""
    levels = _GREYS[0, ::15]
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, len(levels), 3)
    image = Image.fromarray(_GREYS if mode == "L" else grid)
    change = np.asarray(to_rgb(image)).astype(int) - np.asarray(image.convert("RGB"))
    return bool(np.abs(change).max() <= _SRGB_TOLERANCE)


def _is_adobe_rgb(file: Image.Image) -> bool:
    if _ADOBE_RGB.encode() not in (file.info.get("exif") or b""):
        return False
    try:
        return str(file.getexif().get_ifd(ExifTags.IFD.Interop).get(_INDEX)).rstrip("\0") == _ADOBE_RGB
    except BROKEN:
        return False
