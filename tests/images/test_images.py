import io
import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from stages.images import images
from stages.images.images import ImageError
from tests import archives


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
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
    decoded = images.decode(saved(corners(width, height), kind))
    np.testing.assert_array_equal(decoded, corners(width, height))
    assert decoded.dtype == np.uint8


# The image as stored for each value of the tag: where its first row and first column lie in the upright one.
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
@pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 0), ("JPEG", 3), ("TIFF", 0)])
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


@pytest.mark.parametrize(("numerator", "expected"), [(6, 6), (9, 1)])
def test_an_orientation_that_is_a_fraction_is_that_of_the_upright_image(corners, numerator, expected):
    entry = struct.pack("<HHHII", 1, 0x0112, 5, 1, 26) + struct.pack("<III", 0, numerator, 1)
    content = saved(corners(6, 4), exif=b"Exif\0\0II*\0\x08\0\0\0" + entry)
    assert images.read_exif(content).orientation == expected
    assert images.decode(content).shape == ((6, 4, 3) if expected == 6 else (4, 6, 3))


@pytest.mark.parametrize("orientation", STORED)
def test_a_jpeg_of_reduced_scale_comes_upright_with_its_full_size(corners, orientation):
    upright = corners(1001, 667)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    content = saved(stored, "JPEG", exif=exif, quality=95, subsampling=0)
    sizes = []
    photo = images.decode_photo(content, lambda size_wh: sizes.append(size_wh) or 0.2)
    assert sizes == [(1001, 667)] and photo.size_wh == (1001, 667) and photo.image.shape == (167, 251, 3)
    assert photo.image.flags.c_contiguous
    x, y = 125, 83  # where the quarters meet: 501 / 4, 334 / 4; the columns and rows next to it are mixed
    for place in (np.s_[: y - 2, : x - 2], np.s_[: y - 2, x + 2 :], np.s_[y + 2 :, : x - 2], np.s_[y + 2 :, x + 2 :]):
        expected = np.asarray(Image.fromarray(upright).resize((251, 167), Image.Resampling.NEAREST)).astype(int)
        np.testing.assert_allclose(photo.image[place].astype(int), expected[place], atol=3)


@pytest.mark.parametrize(
    ("size_wh", "side", "expected_wh"),
    [
        ((1023, 700), 512, (1023, 700)),
        ((1024, 700), 512, (512, 350)),
        ((1025, 701), 512, (513, 351)),
        ((2047, 2), 512, (1024, 1)),
        ((2048, 1), 512, (2048, 1)),  # no side may go below one pixel
        ((512, 4096), 512, (64, 512)),
        ((5000, 400), 512, (625, 50)),
        ((300, 200), 512, (300, 200)),
    ],
)
def test_the_scale_is_the_least_that_is_enough(corners, size_wh, side, expected_wh):
    content = saved(corners(*size_wh), "JPEG")
    photo = images.decode_photo(content, images.at_least(side))
    assert photo.image.shape[1::-1] == expected_wh and photo.size_wh == size_wh
    if expected_wh == size_wh:
        np.testing.assert_array_equal(photo.image, images.decode(content))


def test_a_reduced_jpeg_is_the_mean_of_what_it_covers():
    blocks = np.random.default_rng(0).integers(0, 256, (20, 30, 1), dtype=np.uint8).repeat(3, axis=2)
    content = saved(blocks.repeat(8, axis=0).repeat(8, axis=1), "JPEG", quality=100, subsampling=0)
    np.testing.assert_allclose(images.decode_photo(content, lambda _: 1 / 8).image.astype(int), blocks, atol=1)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}, {"quality": 100}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_every_kind_of_jpeg_is_reduced_and_refused_when_cut(mode, options):
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    content = saved(Image.fromarray(noise).resize((640, 480)).convert(mode), "JPEG", **options)
    photo = images.decode_photo(content, lambda _: 0.25)
    whole = np.asarray(Image.fromarray(images.decode(content)).resize((160, 120), Image.Resampling.BOX)).astype(int)
    assert photo.image.shape == (120, 160, 3) and np.abs(photo.image - whole).mean() < 2
    for share in (0.3, 0.7, 0.9):
        with pytest.raises(ImageError, match="truncated"):
            images.decode_photo(content[: int(len(content) * share)], lambda _: 0.25)


def test_the_first_of_several_jpegs_in_a_file_is_reduced(corners):
    second = Image.fromarray(corners(64, 48)[::-1].copy())
    content = saved(corners(64, 48), "MPO", save_all=True, append_images=[second], quality=95)
    assert Image.open(io.BytesIO(content)).format == "MPO"
    photo = images.decode_photo(content, lambda _: 0.5)
    assert photo.size_wh == (64, 48) and np.abs(photo.image[2, 2].astype(int) - (255, 0, 0)).max() <= 4


def test_files_other_than_jpeg_keep_their_size(corners):
    for kind in ("PNG", "WEBP", "TIFF", "BMP", "GIF"):
        photo = images.decode_photo(saved(corners(64, 48), kind), lambda _: 0.1)
        assert photo.image.shape == (48, 64, 3) and photo.size_wh == (64, 48)


def test_exif_that_cannot_be_read_leaves_the_image_as_it_is_stored(corners):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    content = saved(corners(48, 32), "JPEG", exif=exif, quality=95, subsampling=0)
    start = content.index(b"Exif\0\0") + 6
    cases = [b"XX*\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff", b"", bytes(20)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for broken in cases:
            length = len(exif.tobytes()) - 6
            damaged = content[:start] + broken.ljust(length, b"\0") + content[start + length :]
            for enough in (1.0, 0.5):
                photo = images.decode_photo(damaged, lambda _, share=enough: share)
                assert photo.size_wh == (48, 32)
                assert np.abs(photo.image[0, 0].astype(int) - (255, 0, 0)).max() <= 4


def test_two_large_images_are_decoded_at_a_time(monkeypatch, corners):
    now, most, lock = 0, 0, threading.Lock()
    to_rgb = images._to_rgb

    def slow(*arguments):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return to_rgb(*arguments)

    monkeypatch.setattr(images, "_to_rgb", slow)
    content = saved(corners(64, 48), "JPEG")
    for limit, expected in ((64 * 48, 6), (64 * 48 - 1, 2)):
        monkeypatch.setattr(images, "_LARGE_PIXELS", limit)
        most = 0
        with ThreadPoolExecutor(6) as pool:
            assert len(list(pool.map(images.decode, [content] * 12))) == 12
        assert most == expected


def test_grey_images_have_three_equal_channels():
    grey = np.array([[0, 100, 255], [7, 8, 9]], np.uint8)
    decoded = images.decode(saved(grey))
    np.testing.assert_array_equal(decoded, grey[..., None].repeat(3, axis=2))
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
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert images.decode(saved(image)).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert images.decode(saved(image, "GIF")).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert images.decode(saved(image, transparency=1)).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_cmyk_becomes_red_green_blue():
    content = saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    np.testing.assert_allclose(images.decode(content).astype(int), np.full((16, 16, 3), (255, 0, 0)), atol=3)


@pytest.mark.parametrize(("mode", "tolerance"), [("CMYK", 0), ("YCbCr", 2), ("LAB", 6), ("RGBX", 0)])
def test_colour_spaces_of_tiff(mode, tolerance):
    colours = np.array([[[255, 0, 0], [0, 128, 0], [60, 80, 200]]], np.uint8)
    image = Image.fromarray(colours)
    if mode == "LAB":
        spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        stored = ImageCms.profileToProfile(image, *spaces, outputMode="LAB")
    else:
        stored = image.convert(mode)
    np.testing.assert_allclose(images.decode(saved(stored, "TIFF")).astype(int), colours, atol=tolerance)


@pytest.mark.parametrize(
    "profile", [b"", b"no profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()]
)
def test_colour_profiles_whole_or_broken_change_nothing(corners, profile):
    for kind in ("JPEG", "PNG", "TIFF", "WEBP"):
        expected = images.decode(saved(corners(48, 32), kind))
        np.testing.assert_array_equal(images.decode(saved(corners(48, 32), kind, icc_profile=profile)), expected)


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True}), ("GIF", {}), ("PNG", {}), ("TIFF", {})])
def test_of_an_animation_the_first_image_is_decoded(corners, kind, options):
    frames = [Image.fromarray(corners(6, 4)), Image.fromarray(corners(6, 4)[::-1].copy())]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(images.decode(content), corners(6, 4))


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000", "WEBP"])
def test_lossy_formats_of_the_web(corners, kind):
    decoded = images.decode(saved(corners(64, 48), kind, **({} if kind == "JPEG2000" else {"quality": 95})))
    assert decoded.shape == (48, 64, 3) and decoded.dtype == np.uint8
    for y, x in ((2, 2), (2, -3), (-3, 2), (-3, -3)):
        assert np.abs(decoded[y, x].astype(int) - corners(64, 48)[y, x]).max() <= 12


@pytest.mark.parametrize("name", ["corners.heic", "turned.heic"])
def test_heic_of_phones_comes_upright(corners, name):
    content = (Path(__file__).parent / name).read_bytes()
    expected = corners(64, 48) if name == "corners.heic" else np.rot90(corners(64, 48), -1)
    photo = images.decode_photo(content, images.at_least(16))
    assert photo.image.shape == expected.shape and photo.size_wh == expected.shape[1::-1]
    for y, x in ((2, 2), (2, -3), (-3, 2), (-3, -3)):
        assert np.abs(photo.image[y, x].astype(int) - expected[y, x]).max() <= 12
    for share in (0.1, 0.5, 0.9):
        assert reason_of(content[: int(len(content) * share)]) in ("truncated", "not_an_image")


@pytest.mark.parametrize(
    "content",
    [b"\x00", b"just text\n", b"<html></html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"
     b"%%BoundingBox: 0 0 9 9\n%%EndComments\n", b"%PDF-1.4\n", b"PK\x03\x04" + bytes(50), bytes(4096), b"\xff" * 99],
)  # fmt: skip
def test_a_file_that_is_not_an_image_has_the_reason(content):
    assert reason_of(content) == "not_an_image"


def test_an_error_is_alike_in_each_run():
    # Pillow names the address of its buffer.
    with pytest.raises(ImageError) as info:
        images.decode(b"no image at all")
    assert (str(info.value), info.value.detail) == (
        "not_an_image: cannot identify image file",
        "cannot identify image file",
    )


def test_a_heic_item_of_no_type_is_refused_before_it_ends_the_process():
    content = (Path(__file__).parent / "turned.heic").read_bytes()
    place = content.index(b"Exif")
    for letter in range(4):
        damaged = bytearray(content)
        damaged[place + letter] |= 0x80
        assert reason_of(bytes(damaged)) == "not_an_image"


def test_an_empty_file_has_the_reason():
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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "MPO", "AVIF", "HEIC"])
def test_damaged_files_give_an_image_or_an_image_error_and_nothing_else(corners, kind):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    if kind == "HEIC":
        content = (Path(__file__).parent / "turned.heic").read_bytes()
    else:
        content = saved(corners(24, 16), kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(250):
            damaged = np.frombuffer(content, np.uint8).copy()
            places = rng.integers(0, min(len(damaged), 400), rng.integers(1, 6))
            damaged[places] = rng.integers(0, 256, len(places))
            try:
                decoded = images.decode(damaged.tobytes())
            except ImageError as error:
                assert error.reason in ("not_an_image", "truncated", "too_large", "unsupported_depth")
            else:
                assert decoded.ndim == 3 and decoded.shape[2] == 3 and decoded.dtype == np.uint8


def test_reading_checks_that_the_bytes_are_those_of_the_id(tmp_path, corners):
    content = saved(corners(5, 3))
    path = tmp_path / "наш 'car'.png"
    path.write_bytes(content)
    np.testing.assert_array_equal(images.decode(images.load(path)), corners(5, 3))
    np.testing.assert_array_equal(images.decode(images.load(path, images.image_id(content))), corners(5, 3))
    for bad, reason in ((path, "changed"), (tmp_path / "none.png", "missing"), (tmp_path, "not_a_file")):
        with pytest.raises(ImageError) as caught:
            images.load(bad, "0" * 16)
        assert caught.value.reason == reason and str(bad) in str(caught.value)


@pytest.mark.parametrize(("width", "height"), [(5, 3), (1, 500), (500, 1)])
def test_png_comes_back_exactly_and_jpeg_nearly(tmp_path, corners, width, height):
    image = corners(width, height)
    before = image.copy()
    np.testing.assert_array_equal(images.decode(images.encode(image, ".png")), image)
    jpeg = images.decode(images.encode(corners(48, 32), ".jpg"))
    np.testing.assert_allclose(jpeg.astype(int), corners(48, 32), atol=4)
    assert images.encode(image, ".jpg") == images.encode(image.copy(), ".jpg")
    archives.write(tmp_path / "a" / "b.png", image)
    np.testing.assert_array_equal(images.decode(images.load(tmp_path / "a" / "b.png")), image)
    np.testing.assert_array_equal(image, before)


def test_a_turned_view_is_encoded_like_its_copy(corners):
    view = corners(6, 4)[:, ::-1]
    np.testing.assert_array_equal(images.decode(images.encode(view, ".png")), view)


def test_masks_come_back_exactly_and_bad_ones_are_refused_by_name(tmp_path):
    mask = np.random.default_rng(0).integers(0, 256, (3, 7), dtype=np.uint8)
    archives.write(tmp_path / "m.png", mask)
    np.testing.assert_array_equal(images.read_mask(tmp_path / "m.png"), mask)
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("none.png", "text.png", "empty.png"):
        with pytest.raises(ImageError, match=name) as caught:
            images.read_mask(tmp_path / name)
        assert str(caught.value).count(caught.value.reason) == 1


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((4,), np.uint8), np.zeros((0, 4, 3), np.uint8),
     np.zeros((2, 4, 4, 3), np.uint8), np.zeros((4, 4, 1), np.uint8)],
)  # fmt: skip
def test_an_array_that_is_not_an_image_is_an_error(image):
    with pytest.raises(ValueError, match=r"expected .* uint8, found"):
        images.encode(image, ".png")
