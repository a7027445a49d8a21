import io
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from stages.imaging import images
from stages.imaging.images import ImageError


def saved(picture, kind="PNG", **options):
    stream = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(stream, kind, **options)
    return stream.getvalue()


def reason_of(content):
    with pytest.raises(ImageError) as caught:
        images.decode(content)
    assert str(caught.value).startswith(f"{caught.value.reason}: ")
    return caught.value.reason


def png_header(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
        + struct.pack(">I", 9)
        + b"IDAT"
    )


def test_the_id_is_the_start_of_the_sha256():
    assert images.image_id(b"") == "e3b0c44298fc1c14" and images.image_id(b"abc") == "ba7816bf8f01cfea"


@pytest.mark.parametrize(("width", "height"), [(5, 3), (1, 500), (500, 1), (1, 1), (301, 299)])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_files_give_red_green_blue_as_they_are(corners, width, height, kind):
    found = images.decode(saved(corners(width, height), kind))
    np.testing.assert_array_equal(found, corners(width, height))
    assert found.dtype == np.uint8


# The picture as stored for each value of the tag: where its first row and first column lie in the upright one.
STORED = {
    1: lambda upright: upright,  # top, left
    2: lambda upright: upright[:, ::-1],  # top, right
    3: lambda upright: upright[::-1, ::-1],  # bottom, right
    4: lambda upright: upright[::-1],  # bottom, left
    5: lambda upright: upright.transpose(1, 0, 2),  # left, top
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],  # right, top
    7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],  # left, bottom
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 0), ("JPEG", 3)])
def test_every_exif_orientation_comes_upright(corners, orientation, kind, tolerance):
    upright = corners(48, 32)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    content = saved(np.ascontiguousarray(STORED[orientation](upright)), kind, exif=exif, **options)
    np.testing.assert_allclose(images.decode(content).astype(int), upright, atol=tolerance)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_ignored(corners, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(images.decode(saved(corners(6, 4), exif=exif)), corners(6, 4))


def test_grey_pictures_have_three_equal_channels():
    grey = np.array([[0, 100, 255], [7, 8, 9]], np.uint8)
    found = images.decode(saved(grey))
    np.testing.assert_array_equal(found, grey[..., None].repeat(3, axis=2))
    bilevel = images.decode(saved(Image.fromarray(grey).point(lambda value: 255 * (value > 50)).convert("1")))
    assert bilevel[..., 0].tolist() == [[0, 255, 255], [0, 0, 0]]


def test_sixteen_bits_become_eight_by_their_share_of_the_range():
    values = np.array([[0, 257 * 100, 65535], [128, 129, 25828]], np.uint16)
    expected = [[0, 100, 255], [0, 1, 100]]  # 25828 / 257 = 100.498
    done, content = cv2.imencode(".png", values)
    assert done and images.decode(content.tobytes())[..., 0].tolist() == expected
    assert images.decode(saved(Image.fromarray(values), "TIFF"))[..., 2].tolist() == expected
    colour = np.zeros((2, 3, 3), np.uint16)
    colour[..., 2] = 257 * 100  # red, in OpenCV's order
    assert images.decode(cv2.imencode(".png", colour)[1].tobytes())[0, 0].tolist() == [100, 0, 0]


def test_transparent_parts_show_white():
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]], np.uint8)
    expected = [[[10, 20, 30], [255, 255, 255], [127, 127, 127]]]
    assert images.decode(saved(rgba)).tolist() == expected
    assert images.decode(saved(rgba, "WEBP", lossless=True))[:, :2].tolist() == [expected[0][:2]]
    grey = Image.new("LA", (2, 1), (50, 255))
    grey.putpixel((1, 0), (50, 0))
    assert images.decode(saved(grey)).tolist() == [[[50] * 3, [255] * 3]]


def test_palettes_with_and_without_transparency():
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    assert images.decode(saved(picture)).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert images.decode(saved(picture, "GIF")).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert images.decode(saved(picture, transparency=1)).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_cmyk_becomes_red_green_blue():
    content = saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    np.testing.assert_allclose(images.decode(content).astype(int), np.full((16, 16, 3), (255, 0, 0)), atol=3)


def test_the_first_picture_of_an_animation_counts(corners):
    frames = [Image.fromarray(corners(6, 4)), Image.fromarray(corners(6, 4)[::-1].copy())]
    content = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(images.decode(content), corners(6, 4))


@pytest.mark.parametrize(
    "content",
    [b"\x00", b"just text\n", b"<html></html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"
     b"%%BoundingBox: 0 0 9 9\n%%EndComments\n", b"%PDF-1.4\n", b"PK\x03\x04" + bytes(50), bytes(4096), b"\xff" * 99],
)  # fmt: skip
def test_what_is_no_picture_is_told_so(content):
    assert reason_of(content) == "not_an_image"


def test_an_empty_file_is_told_so():
    assert reason_of(b"") == "empty_file"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
def test_a_file_cut_anywhere_is_refused(kind):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    content = saved(noise, kind)
    for share in (0.1, 0.5, 0.9):
        assert reason_of(content[: int(len(content) * share)]) in ("truncated", "not_an_image")
    assert reason_of(saved(noise, "JPEG")[:1500]) == reason_of(saved(noise)[:4000]) == "truncated"


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (images.MAX_PIXELS + 1, 1)])
def test_a_header_that_claims_too_much_is_refused_before_decoding(width, height):
    assert reason_of(png_header(width, height) + bytes(100)) == "too_large"


def test_a_jpeg_that_claims_too_much_is_refused(corners):
    content = saved(corners(16, 8), "JPEG")
    claim = content.index(b"\xff\xc0") + 5
    assert content[claim : claim + 4] == struct.pack(">HH", 8, 16)
    assert reason_of(content[:claim] + struct.pack(">HH", 65000, 65000) + content[claim + 4 :]) == "too_large"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "MPO"])
def test_damaged_files_give_a_picture_or_an_image_error_and_nothing_else(corners, kind):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    content = saved(corners(24, 16), kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(250):
            damaged = np.frombuffer(content, np.uint8).copy()
            places = rng.integers(0, min(len(damaged), 400), rng.integers(1, 6))
            damaged[places] = rng.integers(0, 256, len(places))
            try:
                found = images.decode(damaged.tobytes())
            except ImageError as error:
                assert error.reason in ("not_an_image", "truncated", "too_large")
            else:
                assert found.ndim == 3 and found.shape[2] == 3 and found.dtype == np.uint8


def test_reading_checks_that_the_bytes_are_those_of_the_id(tmp_path, corners):
    content = saved(corners(5, 3))
    path = tmp_path / "наш 'car'.png"
    path.write_bytes(content)
    np.testing.assert_array_equal(images.read(path), corners(5, 3))
    np.testing.assert_array_equal(images.read(path, images.image_id(content)), corners(5, 3))
    for bad, reason in ((path, "changed"), (tmp_path / "none.png", "missing"), (tmp_path, "missing")):
        with pytest.raises(ImageError) as caught:
            images.read(bad, "0" * 16)
        assert caught.value.reason == reason and str(bad) in str(caught.value)


@pytest.mark.parametrize(("width", "height"), [(5, 3), (1, 500), (500, 1)])
def test_png_comes_back_exactly_and_jpeg_nearly(tmp_path, corners, width, height):
    picture = corners(width, height)
    before = picture.copy()
    np.testing.assert_array_equal(images.decode(images.encode(picture, ".png")), picture)
    jpeg = images.decode(images.encode(corners(48, 32), ".jpg"))
    np.testing.assert_allclose(jpeg.astype(int), corners(48, 32), atol=4)
    assert images.encode(picture, ".jpg") == images.encode(picture.copy(), ".jpg")
    images.write(tmp_path / "a" / "b.png", picture)
    np.testing.assert_array_equal(images.read(tmp_path / "a" / "b.png"), picture)
    np.testing.assert_array_equal(picture, before)


def test_a_turned_view_is_encoded_like_its_copy(corners):
    view = corners(6, 4)[:, ::-1]
    np.testing.assert_array_equal(images.decode(images.encode(view, ".png")), view)


def test_masks_come_back_exactly_and_bad_ones_are_refused_by_name(tmp_path):
    mask = np.random.default_rng(0).integers(0, 256, (3, 7), dtype=np.uint8)
    images.write(tmp_path / "m.png", mask)
    np.testing.assert_array_equal(images.read_mask(tmp_path / "m.png"), mask)
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("none.png", "text.png", "empty.png"):
        with pytest.raises(ImageError, match=name):
            images.read_mask(tmp_path / name)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((4,), np.uint8), np.zeros((0, 4, 3), np.uint8),
     np.zeros((2, 4, 4, 3), np.uint8), np.zeros((4, 4, 1), np.uint8)],
)  # fmt: skip
def test_an_array_that_is_no_picture_is_refused(image):
    with pytest.raises(ValueError, match=r"expected .* uint8, found"):
        images.encode(image, ".png")
