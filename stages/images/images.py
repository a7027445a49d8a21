"""Image files decoded to upright 8-bit RGB arrays, and arrays encoded as files."""

import hashlib
import io
import re
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import BoundedSemaphore
from typing import NamedTuple

import cv2
import numpy as np
import pi_heif
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile

from stages.images import colour, depth, jpeg
from stages.images.errors import BROKEN, ImageError

# An image of more pixels is rejected before it is decoded: a small file can claim an enormous size.
MAX_PIXELS = 200_000_000
# The bytes of as many pixels, uncompressed. A larger file, such as a video, is not read.
MAX_BYTES = 3 * MAX_PIXELS
# Of larger images two are decoded at a time, to bound memory: else each thread could hold one.
_LARGE_PIXELS = 25_000_000
_LARGE_SLOTS = BoundedSemaphore(2)
# Pillow has more, but to open some of those, such as PostScript, it runs other programs on the file.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF")
# An item of a HEIC file whose four-character type is not ASCII: pi-heif 1.4.0 crashes on it. The type follows the box's
# size, its name, a version, flags, an id and an index.
_FATAL_ITEM = re.compile(rb"\0\0[\0-\3].infe(?:[\0-\2].{7}|[^\0-\2].{9})(?=.{0,3}[\x80-\xff])", re.DOTALL)
# What turns an image upright, by its EXIF orientation; OpenCV's functions are several times as fast as Pillow's.
_UPRIGHT: dict[object, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda image: cv2.flip(image, 1),
    3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
    4: lambda image: cv2.flip(image, 0),
    5: cv2.transpose,
    6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    7: lambda image: cv2.rotate(cv2.transpose(image), cv2.ROTATE_180),
    8: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
_JPEG_OPTIONS = [
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]
_OPTIONS = {".jpg": _JPEG_OPTIONS, ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3]}

Image.MAX_IMAGE_PIXELS = None
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)

# The least scale, 0..1, to decode a photo at, from its upright width and height: 0.25 for a quarter of each.
MinScale = Callable[[tuple[int, int]], float]


class ExifFacts(NamedTuple):
    """The `orientation`, 1..8, 1 (upright) where there is none or none that can be read; DateTimeOriginal as it stands.

    `time_original` is empty where there is none.
    """

    orientation: int
    time_original: str


class DecodedPhoto(NamedTuple):
    """An upright `image`, `(H, W, 3)` uint8 RGB, perhaps at reduced scale; `size_wh` is the photo's full size.

    `note` has the codes of what was done to use the file, joined by ";": `incomplete_jpeg`, `bad_colour_profile`,
    `untagged_adobe_rgb`.
    """

    image: np.ndarray
    size_wh: tuple[int, int]
    note: str = ""


def read_exif(content: bytes) -> ExifFacts:
    """What the EXIF data of a file say; nothing is decoded."""
    with _open(content) as file:
        value, taken = _orientation(file), _time_original(file)
    # A damaged tag may be a fraction that equals one of the numbers.
    return ExifFacts(next((number for number in range(1, 9) if number == value), 1), taken)


def image_id(content: bytes) -> str:
    """The first 16 hex digits of the SHA-256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()[:16]


def at_least(side: int) -> MinScale:
    """The scale at which the longer side has `side` pixels."""
    return lambda size_wh: side / max(size_wh)


def decode(content: bytes) -> np.ndarray:
    """Decode a file's bytes into an upright image of full size, `(H, W, 3)` uint8 RGB; see `decode_photo`."""
    return decode_photo(content, lambda _: 1.0).image


def decode_photo(content: bytes, min_scale: MinScale) -> DecodedPhoto:
    """Decode a file's bytes into an upright photo, at 1/2, 1/4 or 1/8 of its size where `min_scale` allows it.

    Only JPEG files are reduced, from the low frequencies of their blocks: less memory and time, and the whole
    file is still read; one that lacks only its last bytes is used, grey where they lack. EXIF orientation is applied;
    grey, palette, CMYK and 16-bit images become 8-bit RGB, and colours with a profile sRGB; transparent parts become
    white; of an animation the first image is taken. Raises ImageError with the reason `empty_file`, `not_an_image`,
    `truncated`, `unsupported_depth` or `too_large`.
    """
    file = _open(content)
    try:
        if isinstance(file, JpegImageFile) and jpeg.is_zero_filled(content):
            raise OSError("the file ends in zeros")
        return _decode(file, min_scale, content)
    except ImageError:
        raise
    except BROKEN as error:
        file.close()
        completed = _complete(content, file) if isinstance(file, JpegImageFile) else b""
        if not completed:
            raise ImageError("truncated", str(error)) from None
    photo = _decode(_open(completed), min_scale)
    return photo._replace(note=";".join(filter(None, ("incomplete_jpeg", photo.note))))


def _decode(file: Image.Image, min_scale: MinScale, content: bytes = b"") -> DecodedPhoto:
    """Decode an open file; raises OSError where `content`, its bytes, end with an end marker, but too early."""
    size_wh = _reduce(file, min_scale) if isinstance(file, JpegImageFile) else None
    samples = depth.samples(file)
    with _slot(file):
        file.load()
        if content and isinstance(file, JpegImageFile) and _ends_early(file, content):
            raise OSError("the end marker comes before the last pixels")
        turn_upright = _UPRIGHT.get(_orientation(file), np.asarray)
        to_rgb, note = colour.converter(file)
        image = _to_rgb(file, to_rgb, depth.value_range(file, samples))
        file.close()
        image = turn_upright(image)
    return DecodedPhoto(image, size_wh or (image.shape[1], image.shape[0]), note)


def _ends_early(file: JpegImageFile, content: bytes) -> bool:
    """Whether a loaded JPEG file lacks pixels before its end marker: libjpeg draws those grey, and says nothing."""
    last = file.getpixel((file.width - 1, file.height - 1))
    is_grey = set(last if isinstance(last, tuple) else (last,)) <= {127, 128}
    return jpeg.lacks_scans(content) or (is_grey and jpeg.lacks_data(content))


def _slot(file: Image.Image) -> AbstractContextManager[object]:
    return _LARGE_SLOTS if file.width * file.height > _LARGE_PIXELS else nullcontext()


def _complete(content: bytes, file: JpegImageFile) -> bytes:
    try:
        with _slot(file):
            return jpeg.complete(content)
    except BROKEN:
        return b""


def _open(content: bytes) -> Image.Image:
    if not content:
        raise ImageError("empty_file", "the file has no bytes")
    if content[4:8] == b"ftyp" and _FATAL_ITEM.search(content):
        raise ImageError("not_an_image", "a HEIC item without a type")
    try:
        file = Image.open(io.BytesIO(content), formats=_FORMATS)
    except BROKEN as error:
        unsupported = depth.explain_unopened(content)
        if unsupported:
            raise ImageError("unsupported_depth", f"{unsupported}; save it with 8 bits") from None
        raise ImageError("not_an_image", str(error)) from None
    if file.width * file.height > MAX_PIXELS:
        raise ImageError("too_large", f"{file.width} x {file.height} pixels, at most {MAX_PIXELS}")
    return file


def _reduce(file: JpegImageFile, min_scale: MinScale) -> tuple[int, int]:
    """Choose the smallest scale allowed for decoding the file; return its full upright size."""
    width, height = file.size
    size_wh = (height, width) if _orientation(file) in (5, 6, 7, 8) else (width, height)
    scale = min_scale(size_wh)
    divisor = max(divisor for divisor in (1, 2, 4, 8) if divisor == 1 or divisor * scale <= 1)
    file.draft(None, (max(width // divisor, 1), max(height // divisor, 1)))
    return size_wh


def _orientation(file: Image.Image) -> object:
    """The EXIF orientation; 1, upright, where the EXIF data cannot be read: the image still can."""
    try:
        return file.getexif().get(ExifTags.Base.Orientation, 1)
    except BROKEN:
        return 1


def _time_original(file: Image.Image) -> str:
    """DateTimeOriginal as text; empty where there is none, or the EXIF data cannot be read."""
    try:
        return str(file.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal, ""))
    except BROKEN:
        return ""


def _to_rgb(file: Image.Image, to_rgb: colour.ToRgb, values: depth.Range | None) -> np.ndarray:
    """Any mode to `(H, W, 3)` uint8, in strips: on the whole image each step would copy it."""
    image = np.empty((file.height, file.width, 3), np.uint8)
    for top, strip in depth.strips(file):
        image[top : top + strip.height] = _strip_to_rgb(depth.to_8_bit(strip, values) if values else strip, to_rgb)
    return image


def _strip_to_rgb(strip: Image.Image, to_rgb: colour.ToRgb) -> np.ndarray:
    if strip.has_transparency_data:
        layer = strip.convert("RGBA")
        opaque = to_rgb(layer)
        opaque.putalpha(layer.getchannel("A"))
        strip = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), opaque)
        return np.asarray(strip.convert("RGB"))
    return np.asarray(to_rgb(strip))


def load(path: Path, expected_id: str | None = None) -> bytes:
    """Read a file's bytes.

    Raises ImageError with the reason `missing` when there is none, `not_a_file` for a folder, a pipe and the
    like, which might block for ever, `unreadable` when the system refuses, `too_large` when it has more than
    MAX_BYTES, and `changed` when the bytes have another id than `expected_id`.
    """
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise ImageError("not_a_file", f"{path}: a folder, a pipe or a device")
        if info.st_size > MAX_BYTES:
            raise ImageError("too_large", f"{path}: {info.st_size} bytes, at most {MAX_BYTES}")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError("missing", f"{path}: {error.strerror}") from None
    except OSError as error:
        raise ImageError("unreadable", f"{path}: {error.strerror}") from None
    if expected_id is not None and image_id(content) != expected_id:
        raise ImageError("changed", f"{path}: expected the bytes of {expected_id}; run `dvc repro` again")
    return content


def header_size_wh(content: bytes) -> tuple[int, int]:
    """Width and height in pixels by the header of an image file, before EXIF orientation; nothing is decoded.

    Raises ImageError with the reason `empty_file`, `not_an_image` or `too_large`.
    """
    with _open(content) as file:
        return file.size


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

    The settings are fixed, so equal images give equal bytes. Raises ValueError on an array that is not an image.
    """
    if image.dtype != np.uint8 or image.size == 0 or image.shape[2:] not in ((), (3,)) or image.ndim < 2:
        raise ValueError(f"expected (H, W, 3) or (H, W) uint8, found {image.dtype} {image.shape}")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return cv2.imencode(suffix, bgr, _OPTIONS[suffix])[1].tobytes()
