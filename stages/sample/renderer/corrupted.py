"""The special files of the sample: corrupted, duplicate or hard photos, for every check of the pipeline."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from stages.sample.renderer import encode
from stages.sample.renderer.photo import RenderedPhoto

Rgb = np.ndarray


@dataclass(frozen=True)
class Corruption:
    """One such file: `photos/<label>/<label>_<name>`.

    `source` is the regular photo (label, number) that it copies, None for a photo of its own.
    """

    label: str
    name: str
    kind: str
    source: tuple[str, int] | None = None


CORRUPTED: tuple[Corruption, ...] = (
    Corruption("sedan", "truncated.jpg", "truncated"),
    Corruption("van", "truncated.jpg", "truncated"),
    Corruption("coupe", "empty.jpg", "empty"),
    Corruption("wagon", "notes.jpg", "not_an_image"),
    Corruption("suv", "no_car.jpg", "no_car"),
    Corruption("hatchback", "no_car.jpg", "no_car"),
    Corruption("pickup", "no_car.jpg", "no_car"),
    Corruption("compact", "copy.jpg", "duplicate", ("compact", 1)),
    Corruption("minivan", "copy_of_van.jpg", "duplicate", ("van", 1)),
    Corruption("pickup", "resaved.jpg", "near_duplicate", ("pickup", 1)),
    Corruption("limousine", "resized.jpg", "near_duplicate", ("limousine", 1)),
    Corruption("wagon", "resized_sedan.jpg", "near_duplicate", ("sedan", 1)),
    Corruption("coupe", "resaved_hatchback.jpg", "near_duplicate", ("hatchback", 1)),
    Corruption("hatchback", "small.jpg", "small"),
    Corruption("minivan", "small.jpg", "small"),
    Corruption("hatchback", "cut_off.jpg", "cut_off"),
    Corruption("minivan", "cut_off.jpg", "cut_off"),
    Corruption("sedan", "twins.jpg", "twins"),
    Corruption("minivan", "twins.jpg", "twins"),
    Corruption("coupe", "person.jpg", "person"),
    Corruption("limousine", "person.jpg", "person"),
    Corruption("van", "grey.jpg", "grey"),
    Corruption("limousine", "cmyk.jpg", "cmyk"),
    Corruption("coupe", "16bit.png", "16bit"),
    Corruption("suv", "rgba.png", "rgba"),
    Corruption("compact", "rotated.jpg", "exif_rotated"),
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


def _resized(image: np.ndarray, interpolation: int) -> np.ndarray:
    height, width = image.shape[:2]
    size = (round(_RESIZED * width), round(_RESIZED * height))
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)


def corrupt(photo: RenderedPhoto, corruption: Corruption, quality: int) -> tuple[bytes, RenderedPhoto]:
    """The bytes of a special file made from `photo`, and the photo as it is decoded."""
    if corruption.kind == "empty":
        return b"", photo
    if corruption.kind == "not_an_image":
        return _NOTES.encode(), photo
    if corruption.kind == "near_duplicate":
        if "resized" in corruption.name:
            photo = RenderedPhoto(
                _resized(photo.rgb, cv2.INTER_AREA), _resized(photo.mask, cv2.INTER_NEAREST), photo.visible
            )
        return encode.jpeg(photo.rgb, quality - 20), photo
    return _ENCODERS.get(corruption.kind, encode.jpeg)(photo.rgb, quality), photo
