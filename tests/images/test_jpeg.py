import io
import warnings

import numpy as np
import pytest
from PIL import Image

from stages.images import images, jpeg
from stages.images.images import ImageError

KINDS = {
    "baseline": {}, "full_colour": {"subsampling": 0}, "restarts": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
}  # fmt: skip


def picture(width=320, height=400):
    """Noise at the scale of blocks: every row of blocks takes about as many bytes, and none is grey."""
    noise = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height))


def saved(image, **options):
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


def data_start(content):
    """Where the data of the last scan begin."""
    return [segment.end for segment in jpeg.segments(content) if segment.code == 0xDA][-1]


def cut(content, share):
    """The file without the end marker and without this share of its last scan's data."""
    start = data_start(content)
    return content[: len(content) - 2 - int(share * (len(content) - 2 - start))]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_its_end_marker_is_whole(kind, mode):
    image = picture().convert(mode)
    if mode == "CMYK":  # with black ink, whose scan is the last of a progressive file
        image = Image.merge("CMYK", (*image.split()[:3], picture().convert("L")))
    content = saved(image, **KINDS[kind])
    whole = images.decode(content)
    for lost in (1, 2):
        photo = images.decode_photo(content[:-lost], lambda _: 1.0)
        np.testing.assert_array_equal(photo.image, whole)
    assert jpeg.complete(content[:-2]) == content and jpeg.complete(content[:-1]) == content


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25, 0.125])
def test_a_file_without_a_few_blocks_is_used_with_a_note_at_every_scale(kind, scale):
    content = saved(picture(), **KINDS[kind])
    photo = images.decode_photo(cut(content, 0.02), lambda _: scale)
    whole = images.decode_photo(content, lambda _: scale)
    assert photo.note == "incomplete_jpeg" and whole.note == ""
    assert photo.size_wh == (320, 400) and photo.image.shape == whole.image.shape
    reached = int(0.94 * len(whole.image)) - 1
    np.testing.assert_array_equal(photo.image[:reached], whole.image[:reached])
    if kind != "progressive":
        assert photo.image[-1, -1].tolist() == [128] * 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.9, 1.0])
def test_a_file_without_more_is_truncated_at_every_scale(kind, share):
    content = cut(saved(picture(), **KINDS[kind]), share)
    for scale in (1.0, 0.125):
        with pytest.raises(ImageError, match="truncated"):
            images.decode_photo(content, lambda _, scale=scale: scale)


@pytest.mark.parametrize(("lost", "is_used"), [(0.03, True), (0.045, True), (0.055, False), (0.07, False)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_is_five_percent_of_the_pixels(kind, lost, is_used):
    content = saved(picture(320, 1600), **KINDS[kind])
    assert bool(jpeg.complete(cut(content, lost))) == is_used


def test_the_share_is_of_pixels_in_files_of_a_few_rows_of_blocks_too():
    content = saved(picture(1600, 32))  # two rows of blocks of 16
    assert jpeg.complete(cut(content, 0.03)) and not jpeg.complete(cut(content, 0.1))


def test_a_progressive_file_that_lacks_a_whole_scan_is_truncated():
    content = saved(picture(), progressive=True)
    scans = [segment for segment in jpeg.segments(content) if segment.code == 0xDA]
    assert len(scans) == 10
    before_last = content[: content.rindex(b"\xff\xda")]
    assert len(before_last) < scans[-1].end < len(content)
    for short in (before_last, content[: scans[3].end + 2000]):
        assert jpeg.complete(short) == b""
        with pytest.raises(ImageError, match="truncated"):
            images.decode(short)


@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_space_that_a_download_reserved_is_no_data(filler):
    content = saved(picture())
    almost, half = cut(content, 0.02), cut(content, 0.5)
    photo = images.decode_photo(almost + filler * 5000, lambda _: 1.0)
    assert photo.note == "incomplete_jpeg"
    np.testing.assert_array_equal(photo.image, images.decode(almost))
    with pytest.raises(ImageError, match="truncated"):
        images.decode(half + filler * len(content))


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_after_the_end_marker_change_nothing(kind, scale):
    content = saved(picture(), **KINDS[kind])
    whole = images.decode_photo(content, lambda _: scale)
    for rest in (b"\0", b"\xff", b"text" * 3000, bytes(100_000), content[: len(content) // 2]):
        photo = images.decode_photo(content + rest, lambda _: scale)
        np.testing.assert_array_equal(photo.image, whole.image)
        assert photo.note == ""


def test_an_incomplete_file_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = cut(saved(picture(), exif=exif), 0.02)
    photo = images.decode_photo(content, lambda _: 1.0)
    assert photo.size_wh == (400, 320) and photo.image[-1, 0].tolist() == [128] * 3  # the last row is at the left


def test_zeros_after_the_end_marker_or_within_a_trailer_are_no_loss():
    content = saved(picture())
    for rest in (bytes(5000), b"text" + bytes(5000)):
        assert not jpeg.is_zero_filled(content + rest)
    assert jpeg.is_zero_filled(content[:-2] + bytes(16)) and not jpeg.is_zero_filled(content[:-2] + bytes(15))


def test_a_grey_bottom_counts_as_lost():
    image = picture()
    image.paste((128, 128, 128), (0, 320, 320, 400))
    content = saved(image)
    assert images.decode_photo(content, lambda _: 1.0).note == ""
    assert jpeg.complete(content[:-2]) == b""


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", ["baseline", "full_colour", "restarts"])
@pytest.mark.parametrize("scale", [1.0, 0.125])
def test_an_end_marker_in_the_middle_of_the_pixels_is_no_end(kind, mode, scale):
    """A decoder draws what lacks in grey, and says nothing."""
    content = saved(picture().convert(mode), **KINDS[kind])
    for share in (0.1, 0.5, 0.98):
        for rest in (b"", b"\0" * 50, b"text"):
            with pytest.raises(ImageError, match="truncated"):
                images.decode_photo(cut(content, share) + b"\xff\xd9" + rest, lambda _: scale)
    photo = images.decode_photo(cut(content, 0.02) + b"\xff\xff\xd9", lambda _: scale)
    assert photo.note == "incomplete_jpeg"
    np.testing.assert_array_equal(photo.image, images.decode_photo(cut(content, 0.02), lambda _: scale).image)


def test_a_header_of_twice_the_height_is_no_height():
    content = saved(picture())
    frame = content.index(b"\xff\xc0")
    assert content[frame + 5 : frame + 7] == (400).to_bytes(2, "big")
    with pytest.raises(ImageError, match="truncated"):
        images.decode(content[: frame + 5] + (800).to_bytes(2, "big") + content[frame + 7 :])


def test_an_end_marker_before_the_last_scans_is_no_end():
    content = saved(picture(), progressive=True)
    scans = [segment for segment in jpeg.segments(content) if segment.code == 0xDA]
    for number in (1, 4, 9):  # of ten: the header of the next scan has 8 to 14 bytes, after its tables
        before = content[: content.rindex(b"\xff\xda", 0, scans[number].end)]
        assert jpeg.lacks_scans(before + b"\xff\xd9")
        with pytest.raises(ImageError, match=r"truncated: the end marker comes before"):
            images.decode(before + b"\xff\xd9")
    assert not jpeg.lacks_scans(content)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("corner", [16, 320])
def test_a_photo_that_is_grey_at_its_end_is_whole(kind, mode, corner):
    image = picture().convert(mode)
    image.paste(Image.new(mode, (corner, corner), (128,) * len(image.getbands())), (320 - corner, 400 - corner))
    content = saved(image, **KINDS[kind])
    photo = images.decode_photo(content, lambda _: 1.0)
    assert photo.note == "" and photo.image[-1, -1].tolist() == [128] * 3 and not jpeg.lacks_data(content)


def test_a_file_cut_in_its_header_stays_broken():
    content = saved(picture(), progressive=True)
    first = next(segment.end for segment in jpeg.segments(content) if segment.code == 0xDA)
    for length in (2, 20, first - 30, first - 1, first, first + 1):
        with pytest.raises(ImageError, match=r"truncated|not_an_image"):
            images.decode(content[:length])


def test_segments_skip_the_thumbnail_and_the_data():
    content = saved(picture(64, 48), exif=b"Exif\0\0" + saved(picture(16, 16)))
    codes = [segment.code for segment in jpeg.segments(content)]
    assert codes.count(0xDA) == 1 and codes.count(0xE1) == 1 and codes[-1] == 0xDA
    assert list(jpeg.segments(b"")) == [] and list(jpeg.segments(b"\xff\xd8\xff\xd9")) == []


def test_the_precision_is_that_of_the_header():
    content = saved(picture(64, 48))
    place = content.index(b"\xff\xc0") + 4
    twelve = content[:place] + b"\x0c" + content[place + 1 :]
    assert jpeg.precision(content) == 8 and jpeg.precision(twelve) == 12
    assert jpeg.precision(b"") == jpeg.precision(b"\xff\xd8") == jpeg.precision(b"GIF89a") == 0


def test_damaged_and_cut_files_are_decoded_or_refused():
    rng = np.random.default_rng(1)
    contents = [saved(picture(64, 48), **options) for options in KINDS.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(400):
            damaged = np.frombuffer(contents[number % 4], np.uint8).copy()
            places = rng.integers(0, len(damaged), 3)
            damaged[places] = rng.integers(0, 256, 3)
            try:
                photo = images.decode_photo(damaged[: len(damaged) - int(rng.integers(40))].tobytes(), lambda _: 1.0)
            except ImageError as error:
                assert error.reason in ("not_an_image", "truncated", "too_large", "unsupported_depth")
            else:
                assert photo.image.ndim == 3
