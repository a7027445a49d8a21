"""What becomes of every depth and layout. Most pictures are 3 x 2, grey or in colours, without symmetry."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from stages.images import images
from stages.images.images import ImageError
from tests.images import tiff_files
from tests.images.tiff_files import EXTRA, FORMAT, MAX_SAMPLE, S_MAX, S_MIN, packed, tiff

SIZE = 3, 2
GREY = np.array([[0, 64, 255], [128, 10, 200]])
NEGATIVE = 255 - GREY
COLOURS = np.array([[[255, 0, 0], [0, 128, 10], [60, 80, 200]], [[0, 0, 0], [255, 255, 255], [200, 10, 30]]])
SIGNED, FLOAT = (FORMAT, 2), (FORMAT, 3)


def scaled(values, highest):
    """Values of 0..255 as integers of 0..highest."""
    return np.round(values * (highest / 255)).astype(np.int64)


def words(values, order, kind="u2"):
    return np.asarray(values).astype(order + kind).tobytes()


def grey_tiff(highest, order="<", photometric=1, **tags):
    return tiff(words(scaled(GREY, highest), order), SIZE, (16,), photometric, order, **tags)


def colour_tiff(order="<", extra=None, highest=65535, **tags):
    values = scaled(COLOURS, highest)
    if extra is not None:
        values, tags = np.concatenate([values, np.full((2, 3, 1), highest)], axis=2), {**tags, "extra": (EXTRA, extra)}
    return tiff(words(values, order), SIZE, (16,) * values.shape[2], 2, order, **tags)


def float_tiff(values, order="<", photometric=1, **tags):
    return tiff(words(values, order, "f4"), SIZE, (32,), photometric, order, format=FLOAT, **tags)


def png(bits, kind, data, *chunks):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = b"".join(b"\0" + data[start : start + len(data) // 2] for start in (0, len(data) // 2))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *SIZE, bits, kind, 0, 0, 0))
    parts = head + b"".join(chunk(*one) for one in chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def portable(magic, highest, values, kind=">u2"):
    return b"%s 3 2 %d\n" % (magic, highest) + scaled(values, highest).astype(kind).tobytes()


FEW = {1: np.array([[0, 1, 1], [1, 0, 0]]), 2: np.array([[0, 1, 2], [3, 2, 0]]), 4: np.array([[0, 1, 9], [15, 6, 2]])}
FEW_GREYS = {1: FEW[1] * 255, 2: FEW[2] * 85, 4: FEW[4] * 17}
FLOATS = GREY / 255

# Name, content, the picture in 0..255 and the tolerance: 1 where Pillow drops the low byte, more for other colours.
DECODED = [
    *((f"grey 16 bits {order}", grey_tiff(65535, order), GREY, 0) for order in "<>"),
    *((f"{bits} in 16 bits {order}", grey_tiff(2**bits - 1, order, maximum=(MAX_SAMPLE, 2**bits - 1)), GREY, 0)
      for bits in (10, 12, 14) for order in "<>"),
    ("a highest value that occurs, of 12 bits", tiff(words([[0, 1000, 3000], [7, 2000, 4]], "<"), SIZE, (16,),
     maximum=(MAX_SAMPLE, 3000)), np.array([[0, 62, 187], [0, 125, 0]]), 0),  # of 4095
    ("12 bits packed", tiff(packed(scaled(GREY, 4095), 12), SIZE, (12,)), GREY, 0),
    ("12 bits packed, dark", tiff(packed(GREY, 12), SIZE, (12,)), np.array([[0, 4, 16], [8, 1, 12]]), 0),
    ("grey 16 bits, white is zero", grey_tiff(65535, photometric=0), NEGATIVE, 0),
    ("12 in 16 bits, white is zero", grey_tiff(4095, photometric=0, maximum=(MAX_SAMPLE, 4095)), NEGATIVE, 0),
    ("signed 16 bits of a declared range", tiff(words(scaled(GREY, 2000) - 1000, "<", "i2"), SIZE, (16,), format=SIGNED,
     low=(S_MIN, -1000.0), high=(S_MAX, 1000.0)), GREY, 0),
    ("32 bits", tiff(words(scaled(GREY, 2**32 - 1), "<", "u4"), SIZE, (32,)), GREY, 0),
    ("16 in 32 bits", tiff(words(scaled(GREY, 65535), "<", "u4"), SIZE, (32,), maximum=(MAX_SAMPLE, 65535)), GREY, 0),
    *((f"float 0..1 {order}", float_tiff(FLOATS, order), GREY, 0) for order in "<>"),
    ("float of a declared range", float_tiff(FLOATS * 3 - 1, low=(S_MIN, -1.0), high=(S_MAX, 2.0)), GREY, 0),
    ("float 0..1, white is zero", float_tiff(FLOATS, photometric=0), NEGATIVE, 0),
    *((f"{bits} bits", tiff(packed(FEW[bits], bits), SIZE, (bits,)), FEW_GREYS[bits], 0) for bits in FEW),
    *((f"{bits} bits, white is zero", tiff(packed(FEW[bits], bits), SIZE, (bits,), 0), 255 - FEW_GREYS[bits], 0)
      for bits in FEW),
    ("8 bits, white is zero", tiff(GREY.astype(np.uint8).tobytes(), SIZE, (8,), 0), NEGATIVE, 0),
    *((f"RGB 16 bits {order}", colour_tiff(order), COLOURS, 0) for order in "<>"),
    *((f"RGB 16 bits and alpha of kind {extra} {order}", colour_tiff(order, extra), COLOURS, 1)
      for extra in (0, 1, 2) for order in "<>"),
    ("RGB 8 bits in planes", tiff([words(COLOURS[..., place], "<", "u1") for place in range(3)], SIZE, (8,) * 3, 2),
     COLOURS, 0),
    ("CMYK", tiff(words(255 - np.insert(COLOURS, 3, 255, axis=2), "<", "u1"), SIZE, (8,) * 4, 5), COLOURS, 0),
    ("CMYK 16 bits", tiff(words(65535 - np.insert(COLOURS, 3, 255, axis=2) * 257, "<"), SIZE, (16,) * 4, 5),
     COLOURS, 1),
    ("YCbCr", tiff(cv2.cvtColor(COLOURS.astype(np.uint8), cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]].tobytes(), SIZE,
     (8,) * 3, 6, sampling=(530, (1, 1))), COLOURS, 2),
    ("PNG grey 16 bits", png(16, 0, words(GREY * 257, ">")), GREY, 0),
    ("PNG grey 16 bits, one value transparent", png(16, 0, words(GREY * 257, ">"), (b"tRNS", words(64 * 257, ">"))),
     np.where(GREY == 64, 255, GREY), 0),
    ("PNG grey 16 bits, a value of equal high byte is not", png(16, 0, words(GREY * 257, ">"),
     (b"tRNS", words(64 * 256, ">"))), GREY, 0),
    ("PNG RGB 16 bits", png(16, 2, words(COLOURS * 257, ">")), COLOURS, 0),
    *((f"PNG {bits} bits, one value transparent", png(bits, 0, packed(FEW[bits], bits), (b"tRNS", b"\0\1")),
       np.where(FEW[bits] == 1, 255, FEW_GREYS[bits]), 0) for bits in FEW),
    ("PNG palette, one colour transparent", png(8, 3, bytes([0, 1, 2, 2, 1, 0]), (b"PLTE", bytes([9, 8, 7, 1, 2, 3, 50,
     60, 70])), (b"tRNS", bytes([255, 0]))), np.array([[[9, 8, 7], [255] * 3, [50, 60, 70]],
     [[50, 60, 70], [255] * 3, [9, 8, 7]]]), 0),
    *((f"PPM grey to {highest}", portable(b"P5", highest, GREY), GREY, 0) for highest in (1023, 4095, 65535)),
    *((f"PPM colour to {highest}", portable(b"P6", highest, COLOURS), COLOURS, 0) for highest in (1023, 4095, 65535)),
    ("PPM of few bits", b"P5 3 2 15\n" + FEW[4].astype(np.uint8).tobytes(), FEW_GREYS[4], 0),
    ("PFM 0..1", b"Pf\n3 2\n-1.0\n" + words(FLOATS[::-1], "<", "f4"), GREY, 0),  # the last row is stored first
]  # fmt: skip

REFUSED = [
    *((f"{bits} in 16 bits, not declared", grey_tiff(2**bits - 1)) for bits in (8, 10, 12)),
    ("14 in 16 bits, not declared", grey_tiff(2**14 - 1)),
    ("16 bits, all black", grey_tiff(0)),
    ("values above the declared highest", grey_tiff(65535, maximum=(MAX_SAMPLE, 4095))),
    ("12 in 16 bits of RGB, declared", colour_tiff(highest=4095, maximum=(MAX_SAMPLE, (4095,) * 3))),
    ("12 in 16 bits of RGB, not declared", colour_tiff(highest=4095)),
    ("12 in 16 bits of RGBA, not declared", colour_tiff(extra=2, highest=4095)),
    ("RGB 16 bits in planes", tiff([words(scaled(COLOURS[..., place], 65535), "<") for place in range(3)], SIZE,
     (16,) * 3, 2)),
    ("signed 16 bits", tiff(words(scaled(GREY, 32767), "<", "i2"), SIZE, (16,), format=SIGNED)),
    ("signed 8 bits", tiff(words(GREY // 2, "<", "i1"), SIZE, (8,), format=SIGNED)),
    ("signed 32 bits", tiff(words(scaled(GREY, 2**31 - 1), "<", "i4"), SIZE, (32,), format=SIGNED)),
    ("16 in 32 bits, not declared", tiff(words(scaled(GREY, 65535), "<", "u4"), SIZE, (32,))),
    ("32 bits, high byte first", tiff(words(scaled(GREY, 2**32 - 1), ">", "u4"), SIZE, (32,), order=">")),
    ("float 0..255", float_tiff(GREY)),
    ("float 0..65535", float_tiff(GREY * 257)),
    ("float below 0", float_tiff(FLOATS - 0.1)),
    ("float near 0", float_tiff(FLOATS / 10)),
    ("float with a NaN", float_tiff(np.where(GREY == 10, np.nan, FLOATS))),
    ("float with an infinity", float_tiff(np.where(GREY == 10, np.inf, FLOATS))),
    ("float beyond its declared range", float_tiff(FLOATS * 3, high=(S_MAX, 2.0))),
    ("float of a declared range without an end", float_tiff(FLOATS, high=(S_MAX, np.inf))),
    ("float of a declared range without a number", float_tiff(FLOATS, low=(S_MIN, np.nan), high=(S_MAX, 1.0))),
    ("float of an empty declared range", float_tiff(FLOATS * 0 + 5, low=(S_MIN, 5.0), high=(S_MAX, 5.0))),
    ("float of a range declared too wide", float_tiff(FLOATS, high=(S_MAX, 65535.0))),
    ("float of a lowest value alone", float_tiff(FLOATS - 0.5, low=(S_MIN, -0.5))),
    ("float 64 bits", tiff(words(FLOATS, "<", "f8"), SIZE, (64,), format=FLOAT)),
    ("float 16 bits", tiff(words(FLOATS, "<", "f2"), SIZE, (16,), format=FLOAT)),
    ("float RGB", tiff(words(COLOURS / 255, "<", "f4"), SIZE, (32,) * 3, 2, format=(FORMAT, (3, 3, 3)))),
    *((f"{bits} bits packed", tiff(packed(scaled(GREY, 2**bits - 1), bits), SIZE, (bits,))) for bits in (10, 14)),
    ("12 bits packed, high byte first", tiff(packed(scaled(GREY, 4095), 12), SIZE, (12,), order=">")),
    ("RGB 12 bits packed", tiff(packed(scaled(COLOURS, 4095), 12), SIZE, (12,) * 3, 2)),
    ("16 bits, high byte first, white is zero", grey_tiff(65535, ">", 0)),
    ("YCbCr of half the resolution", tiff(bytes(12), SIZE, (8,) * 3, 6)),
    ("PNG grey 12 in 16 bits", png(16, 0, words(scaled(GREY, 4095), ">"))),
    ("PNG RGB 12 in 16 bits", png(16, 2, words(scaled(COLOURS, 4095), ">"))),
    ("PFM 0..255", b"Pf\n3 2\n-1.0\n" + words(GREY[::-1], "<", "f4")),
]  # fmt: skip


@pytest.mark.parametrize(("content", "expected", "tolerance"), [pytest.param(*one[1:], id=one[0]) for one in DECODED])
def test_every_depth_is_scaled_by_its_range(content, expected, tolerance):
    photo = images.decode_photo(content, lambda _: 1.0)
    expected = expected if expected.ndim == 3 else expected[..., None].repeat(3, axis=2)
    np.testing.assert_allclose(photo.image.astype(int), expected, atol=tolerance)
    assert photo.note == "" and photo.image.dtype == np.uint8


@pytest.mark.parametrize("content", [pytest.param(one[1], id=one[0]) for one in REFUSED])
def test_a_depth_of_unknown_range_is_refused(content):
    with pytest.raises(ImageError) as caught:
        images.decode(content)
    assert caught.value.reason == "unsupported_depth" and "\n" not in str(caught.value)


def test_the_error_names_both_readings():
    with pytest.raises(ImageError, match=r"65535 at most; found 0 to 4095: either fewer bits .* nearly black"):
        images.decode(grey_tiff(4095))


def test_packed_values_are_laid_out_by_hand():
    # 0xABC and 0x123 in 12 bits: AB C1 23.
    assert packed(np.array([[0xABC, 0x123]]), 12) == b"\xab\xc1\x23" and packed(np.array([[1, 0, 3]]), 2) == b"\x4c"


def test_lab_becomes_red_green_blue():
    # sRGB's middle grey and red under D50: L* 53.39 and 54.29, a* 80.8, b* 69.9; Pillow has 8 bits of each.
    lab = np.array([[[136, 0, 0], [138, 81, 70]]], np.uint8)
    found = images.decode(tiff(lab.tobytes(), (2, 1), (8,) * 3, 8))
    np.testing.assert_allclose(found[0].astype(int), [[127, 127, 127], [255, 0, 0]], atol=6)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_depths_are_scaled_too(compression):
    stream = io.BytesIO()
    values = (GREY * 257).astype(np.uint16)
    Image.fromarray(values).save(stream, "TIFF", compression=compression)
    assert images.decode(stream.getvalue())[..., 1].tolist() == GREY.tolist()


def test_a_compressed_depth_of_a_declared_range_is_scaled():
    data = zlib.compress(words(scaled(GREY, 4095), "<"))
    tags = {"compression": (tiff_files.COMPRESSION, 8), "maximum": (MAX_SAMPLE, 4095)}
    assert images.decode(tiff(data, SIZE, (16,), **tags))[..., 1].tolist() == GREY.tolist()


def test_compressed_planes_of_16_bits_are_refused_too():
    planes = [zlib.compress(words(COLOURS[..., place] * 257, "<")) for place in range(3)]
    content = tiff(planes, SIZE, (16,) * 3, 2, compression=(tiff_files.COMPRESSION, 8))
    with pytest.raises(ImageError, match="unsupported_depth: separate planes"):
        images.decode(content)


def test_of_several_pages_the_first_decides():
    pages = [Image.fromarray((GREY * 257).astype(np.uint16)), Image.fromarray(FLOATS.astype(np.float32) * 900)]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    assert images.decode(stream.getvalue())[..., 0].tolist() == GREY.tolist()


def large(values, kind):
    """The 3 x 2 picture with each pixel repeated 16 x 16 times, for codecs that need more."""
    return np.asarray(values, kind).repeat(16, axis=0).repeat(16, axis=1)


def jpeg_2000(values):
    done, content = cv2.imencode(".jp2", values, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    assert done
    return content.tobytes()


def test_jpeg_2000_of_16_bits_is_decoded_in_grey_and_refused_in_colour():
    assert images.decode(jpeg_2000(large(GREY * 257, np.uint16)))[8::16, 8::16, 1].tolist() == GREY.tolist()
    assert images.decode(jpeg_2000(large(COLOURS[..., ::-1], np.uint8)))[8::16, 8::16].tolist() == COLOURS.tolist()
    with pytest.raises(ImageError, match="unsupported_depth: a colour JPEG 2000 of 16 bits"):
        images.decode(jpeg_2000(large(COLOURS[..., ::-1] * 257, np.uint16)))


def test_avif_of_10_bits():
    bgr = large(scaled(COLOURS, 1023)[..., ::-1], np.uint16)
    done, content = cv2.imencode(".avif", bgr, [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100])
    assert done
    np.testing.assert_allclose(images.decode(content.tobytes())[8::16, 8::16].astype(int), COLOURS, atol=12)


def test_a_jpeg_of_12_bits_is_refused_by_its_depth():
    stream = io.BytesIO()
    Image.fromarray(COLOURS.astype(np.uint8)).save(stream, "JPEG")
    content = stream.getvalue()
    place = content.index(b"\xff\xc0") + 4
    with pytest.raises(ImageError, match="unsupported_depth: a JPEG of 12 bits"):
        images.decode(content[:place] + b"\x0c" + content[place + 1 :])


@pytest.mark.filterwarnings("ignore:::PIL")
def test_a_tiff_whose_directory_is_cut_is_no_image_rather_than_a_depth():
    content = float_tiff(FLOATS)
    for length in (8, 20, 60):
        with pytest.raises(ImageError, match=r"not_an_image|truncated"):
            images.decode(content[:length])


def test_the_range_is_that_of_the_whole_image():
    """A dark top and a bright bottom, more than one strip apart."""
    values = np.zeros((200, 3), np.uint16)
    values[150, 2] = 65535
    values[3, 1] = 257 * 9
    found = images.decode(png_of(values))
    assert found[150, 2].tolist() == [255] * 3 and found[3, 1].tolist() == [9] * 3 and found.sum() == 3 * (255 + 9)


def png_of(values):
    return cv2.imencode(".png", values)[1].tobytes()
