import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from stages.images import colour, images
from tests.images import colour_profiles as profiles

P3 = profiles.profile(profiles.DISPLAY_P3)
ADOBE = profiles.profile(profiles.ADOBE_RGB, profiles.ADOBE_GAMMA, version=2)
PROPHOTO = profiles.profile(profiles.PROPHOTO, profiles.PROPHOTO_GAMMA, profiles.D50)
SPACES = {
    "Display P3": (P3, profiles.DISPLAY_P3, profiles.D65, profiles.srgb_encode, profiles.srgb_decode),
    "Adobe RGB": (ADOBE, profiles.ADOBE_RGB, profiles.D65, profiles.gamma_encode(563 / 256),
                  profiles.gamma_decode(563 / 256)),
    "ProPhoto": (PROPHOTO, profiles.PROPHOTO, profiles.D50, profiles.gamma_encode(1.8), profiles.gamma_decode(1.8)),
}  # fmt: skip


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def photo(content):
    return images.decode_photo(content, lambda _: 1.0)


def smooth():
    """A 90 x 70 picture without symmetry.

    Its colours are not the most saturated: of those, 8 bits of Adobe RGB hold dark channels to within 9 of 255 only.
    """
    small = np.random.default_rng(0).integers(50, 220, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((90, 70), Image.Resampling.BILINEAR))


def grid():
    """Every 15th value of each channel, 324 x 18."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 18, 3)


def stored(image, space):
    _, primaries, white, encode, _ = SPACES[space]
    return profiles.encoded(image, primaries, encode, white).round().clip(0, 255).astype(np.uint8)


def test_the_primaries_have_the_published_matrices_under_d50():
    # Apple's and Adobe's own profiles, and sRGB of IEC 61966-2-1, as their XYZ tags give them.
    published = {
        profiles.SRGB: [[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7142]],
        profiles.DISPLAY_P3: [[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]],
        profiles.ADOBE_RGB: [[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]],
    }
    for primaries, expected in published.items():
        np.testing.assert_allclose(profiles.to_pcs(primaries), expected, atol=4e-4)


@pytest.mark.parametrize("version", [2, 4])
def test_the_test_profiles_are_accepted(version):
    for content in (
        profiles.profile(profiles.DISPLAY_P3, version=version),
        profiles.profile(None, 2.2, version=version),
    ):
        read = ImageCms.ImageCmsProfile(io.BytesIO(content)).profile
        assert read.version == version and read.profile_description == "test"
    red = ImageCms.ImageCmsProfile(io.BytesIO(P3)).profile.red_primary[1]
    np.testing.assert_allclose(red[:2], (0.680, 0.320), atol=0.005)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("space", ["Display P3", "Adobe RGB"])
def test_a_photo_in_another_space_decodes_within_two_of_its_srgb_original(space, kind):
    found = photo(saved(stored(smooth(), space), kind, icc_profile=SPACES[space][0]))
    assert found.note == "" and np.abs(found.image.astype(int) - smooth()).max() <= 2
    assert np.abs(stored(smooth(), space).astype(int) - smooth()).max() > 15


@pytest.mark.parametrize("space", SPACES)
def test_every_colour_is_within_one_of_the_exact_conversion_of_what_is_stored(space):
    content, primaries, white, _, decode = SPACES[space]
    values = stored(grid(), space)
    exact = profiles.decoded(values, primaries, decode, white)
    found = photo(saved(values, icc_profile=content)).image
    assert np.abs(found - exact).max() <= 1.5


@pytest.mark.parametrize("space", ["Display P3", "Adobe RGB"])
def test_a_jpeg_in_another_space_comes_near_its_original_at_every_scale(space):
    large = np.asarray(Image.fromarray(smooth()).resize((360, 280)))
    content = saved(stored(large, space), "JPEG", quality=98, subsampling=0, icc_profile=SPACES[space][0])
    assert np.abs(photo(content).image.astype(int) - large).mean() < 1.5
    quarter = images.decode_photo(content, lambda _: 0.25)
    small = np.asarray(Image.fromarray(large).resize((90, 70), Image.Resampling.BOX))
    assert quarter.note == "" and np.abs(quarter.image.astype(int) - small).mean() < 1.5


@pytest.mark.parametrize("version", [2, 4])
def test_srgb_in_any_version_changes_no_pixel(version):
    content = saved(grid(), icc_profile=profiles.profile(profiles.SRGB, version=version))
    found = photo(content)
    np.testing.assert_array_equal(found.image, grid())
    assert found.note == ""


def test_grey_profiles_are_applied_to_grey_of_every_depth():
    ramp = np.arange(256, dtype=np.uint8).reshape(8, 32)
    profile = profiles.profile(None, 1.0)  # linear: 128 of 255 is 0.502 of the light, 188 in sRGB
    expected = (255 * profiles.srgb_encode(ramp / 255))[..., None].repeat(3, axis=2)
    for content in (
        saved(ramp, icc_profile=profile),
        saved(ramp, "TIFF", icc_profile=profile),
        saved(ramp.astype(np.uint16) * 257, icc_profile=profile),
        saved(Image.fromarray(ramp).convert("LA"), icc_profile=profile),
    ):
        found = photo(content)
        assert found.note == "" and np.abs(found.image - expected).max() <= 1
    assert photo(saved(ramp, icc_profile=profile)).image[4, 0].tolist() == [188] * 3


def test_a_profile_of_colours_is_applied_to_grey_and_palettes():
    grey = np.array([[0, 100, 255]], np.uint8)
    # Adobe RGB's curve alone: (100 / 255) ** 2.19921875 = 0.12767, in sRGB 99.9
    assert photo(saved(grey, icc_profile=ADOBE)).image.tolist() == [[[0] * 3, [100] * 3, [255] * 3]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([234, 51, 35, 0, 0, 255])  # sRGB's red in Display P3
    palette.putpixel((1, 0), 1)
    assert np.abs(photo(saved(palette, icc_profile=P3)).image[0, 0].astype(int) - (255, 0, 0)).max() <= 2
    clear = photo(saved(palette, icc_profile=P3, transparency=bytes([255, 0]))).image
    assert np.abs(clear[0, 0].astype(int) - (255, 0, 0)).max() <= 2 and clear[0, 1].tolist() == [255] * 3


def test_transparency_is_kept_beside_the_conversion():
    rgba = np.array([[[234, 51, 35, 255], [234, 51, 35, 0], [234, 51, 35, 128]]], np.uint8)
    found = photo(saved(rgba, icc_profile=P3)).image[0].astype(int)
    expected = [(255, 0, 0), (255, 255, 255), (255, 127, 127)]
    assert np.abs(found - expected).max() <= 2


def test_cmyk_without_a_profile_and_lab_with_one_stay_as_they_were():
    lab = ImageCms.profileToProfile(
        Image.fromarray(smooth()), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    found = photo(saved(lab, "TIFF", icc_profile=profile))
    np.testing.assert_array_equal(found.image, photo(saved(lab, "TIFF")).image)
    assert found.note == "" and np.abs(found.image.astype(int) - smooth()).mean() < 2


def cmyk_profile():
    """A printer whose colours are grey, L* = 100 - 100 K, whatever the other inks: an 8-bit table of 2 ** 4 corners."""
    corners = b"".join(bytes([0 if place & 1 else 255, 128, 128]) for place in range(16))  # K varies fastest
    identity = struct.pack(">9i", *(65536 if place % 4 == 0 else 0 for place in range(9)))
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * ramp + corners + 3 * ramp
    tags = {
        b"desc": profiles._text("test", 2),
        b"A2B0": table,
        b"wtpt": b"XYZ " + bytes(4) + profiles._fixed((0.9642, 1, 0.8249)),
    }
    content = bytearray(profiles._assemble(tags, b"CMYK", 2))
    content[12:16], content[20:24] = b"prtr", b"Lab "
    return bytes(content)


def test_cmyk_is_converted_by_its_profile():
    image = Image.new("CMYK", (3, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 255, 128))
    image.putpixel((2, 0), (0, 0, 0, 255))
    found = photo(saved(image, "TIFF", icc_profile=cmyk_profile()))
    # L* of 100, 49.8 and 0: 49.8 is 0.1825 of the light, 118.6 in sRGB.
    assert found.note == "" and np.abs(found.image[0].astype(int) - [[255] * 3, [119] * 3, [0] * 3]).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    "profile",
    [b"no profile", bytes(200), P3[:128], P3[:-200], P3[:36] + b"xxxx" + P3[40:], P3[:16] + b"CMYK" + P3[20:],
     cmyk_profile(), profiles.profile(None, 2.2)],
)  # fmt: skip
def test_a_profile_that_is_broken_or_of_another_kind_is_ignored_with_a_note(kind, profile):
    found = photo(saved(smooth(), kind, icc_profile=profile))
    np.testing.assert_array_equal(found.image, photo(saved(smooth(), kind)).image)
    assert found.note == "bad_colour_profile"


def test_a_profile_in_a_jpeg_with_a_part_missing_is_noted():
    content = saved(smooth(), "JPEG", icc_profile=P3 + bytes(100_000))
    second = content.index(b"ICC_PROFILE\0\2") - 4
    length = int.from_bytes(content[second + 2 : second + 4], "big")
    found = photo(content[:second] + content[second + 2 + length :])
    assert found.note == "bad_colour_profile"
    np.testing.assert_array_equal(found.image, photo(saved(smooth(), "JPEG")).image)


def test_many_damaged_profiles_end_nothing():
    rng = np.random.default_rng(0)
    for number in range(300):
        damaged = np.frombuffer((P3, ADOBE, cmyk_profile())[number % 3], np.uint8).copy()
        places = rng.integers(0, len(damaged) if number % 2 else 200, 4)
        damaged[places] = rng.integers(0, 256, 4)
        found = photo(saved(smooth(), icc_profile=damaged.tobytes()))
        assert found.note in ("", "bad_colour_profile") and found.image.shape == smooth().shape


def test_profiles_are_kept_in_a_bounded_number_and_shared_by_threads():
    assert colour._read.cache_info().maxsize == 16
    content = saved(stored(smooth(), "Adobe RGB"), icc_profile=ADOBE)
    expected = photo(content).image
    built = colour._read.cache_info().misses
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(images.decode, [content] * 64):
            np.testing.assert_array_equal(found, expected)
    assert colour._read.cache_info().misses == built


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_gamma_and_primaries_of_png_are_ignored():
    content = saved(smooth())
    values = [31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000]  # Display P3's, in hundred thousandths
    chunks = chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"cHRM", struct.pack(">8I", *values))
    found = photo(content[:33] + chunks + content[33:])
    np.testing.assert_array_equal(found.image, smooth())
    assert found.note == ""


def camera_exif(index):
    exif = Image.Exif()
    exif[ExifTags.Base.ExifOffset] = {ExifTags.Base.ColorSpace: 0xFFFF, 0xA005: {1: index, 2: b"0100"}}
    return exif


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_adobe_rgb_in_the_exif_data_alone_is_noted_and_changes_nothing(kind):
    plain = photo(saved(smooth(), kind))
    assert plain.note == ""
    for index, note in (("R03", "untagged_adobe_rgb"), ("R98", "")):
        found = photo(saved(smooth(), kind, exif=camera_exif(index)))
        np.testing.assert_array_equal(found.image, plain.image)
        assert found.note == note
    tagged = photo(saved(stored(smooth(), "Adobe RGB"), kind, exif=camera_exif("R03"), icc_profile=ADOBE))
    assert tagged.note == ""


def test_text_that_only_looks_like_the_exif_of_adobe_rgb_is_no_note():
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "R03"
    assert photo(saved(smooth(), "JPEG", exif=exif)).note == ""


def test_two_notes_stand_together():
    content = saved(smooth(), "JPEG", icc_profile=b"no profile")
    assert photo(content[:-3]).note == "incomplete_jpeg;bad_colour_profile"
