"""The files of the sample that are wrong on purpose, so that every check of the pipeline has something to find."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from stages.rendering import encode
from stages.rendering.photo import Photo

Rgb = np.ndarray


@dataclass(frozen=True)
class Spoilt:
    """One such file: `photos/<label>/<label>_<name>`.

    `source` is the regular photo (label, number) that it repeats, None for a photo of its own.
    """

    label: str
    name: str
    kind: str
    source: tuple[str, int] | None = None


SPOILT: tuple[Spoilt, ...] = (
    Spoilt("sedan", "truncated.jpg", "truncated"),
    Spoilt("van", "truncated.jpg", "truncated"),
    Spoilt("coupe", "empty.jpg", "empty"),
    Spoilt("wagon", "notes.jpg", "not_an_image"),
    Spoilt("suv", "no_car.jpg", "no_car"),
    Spoilt("hatchback", "no_car.jpg", "no_car"),
    Spoilt("pickup", "no_car.jpg", "no_car"),
    Spoilt("compact", "copy.jpg", "duplicate", ("compact", 1)),
    Spoilt("minivan", "copy_of_van.jpg", "duplicate", ("van", 1)),
    Spoilt("pickup", "resaved.jpg", "near_duplicate", ("pickup", 1)),
    Spoilt("limousine", "resized.jpg", "near_duplicate", ("limousine", 1)),
    Spoilt("wagon", "resized_sedan.jpg", "near_duplicate", ("sedan", 1)),
    Spoilt("coupe", "resaved_hatchback.jpg", "near_duplicate", ("hatchback", 1)),
    Spoilt("hatchback", "small.jpg", "small"),
    Spoilt("minivan", "small.jpg", "small"),
    Spoilt("hatchback", "cut_off.jpg", "cut_off"),
    Spoilt("minivan", "cut_off.jpg", "cut_off"),
    Spoilt("sedan", "twins.jpg", "twins"),
    Spoilt("minivan", "twins.jpg", "twins"),
    Spoilt("coupe", "person.jpg", "person"),
    Spoilt("limousine", "person.jpg", "person"),
    Spoilt("van", "grey.jpg", "grey"),
    Spoilt("limousine", "cmyk.jpg", "cmyk"),
    Spoilt("coupe", "16bit.png", "16bit"),
    Spoilt("suv", "rgba.png", "rgba"),
    Spoilt("compact", "rotated.jpg", "exif_rotated"),
)

_NOTES = "Photos of the estate cars, to be sorted. The pictures are still on the camera.\n"
_RESIZED = 0.93
_ENCODERS: dict[str, Callable[[Rgb, int], bytes]] = {
    "truncated": encode.truncated_jpeg,
    "grey": encode.grey_jpeg,
    "cmyk": encode.cmyk_jpeg,
    "exif_rotated": encode.rotated_jpeg,
    "16bit": encode.png_16_bit,
    "rgba": encode.png_rgba,
}


def _resized(picture: np.ndarray, interpolation: int) -> np.ndarray:
    height, width = picture.shape[:2]
    size = (round(_RESIZED * width), round(_RESIZED * height))
    return np.asarray(cv2.resize(picture, size, interpolation=interpolation), np.uint8)


def spoil(photo: Photo, spoilt: Spoilt, quality: int) -> tuple[bytes, Photo]:
    """The bytes of a spoilt file made from `photo`, and the photo as a viewer would see it."""
    if spoilt.kind == "empty":
        return b"", photo
    if spoilt.kind == "not_an_image":
        return _NOTES.encode(), photo
    if spoilt.kind == "near_duplicate":
        if "resized" in spoilt.name:
            photo = Photo(_resized(photo.rgb, cv2.INTER_AREA), _resized(photo.mask, cv2.INTER_NEAREST), photo.visible)
        return encode.jpeg(photo.rgb, quality - 20), photo
    return _ENCODERS.get(spoilt.kind, encode.jpeg)(photo.rgb, quality), photo
