"""A folder of files that the pipeline must tolerate: truncated, damaged, mislabelled, enormous, linked, oddly named.

Every file has a set of allowed reasons; "" stands for a usable image.
"""

import io
import os
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent
KINDS = {
    "jpg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "tif": "TIFF", "bmp": "BMP", "ppm": "PPM",
    "jp2": "JPEG2000", "avif": "AVIF",
}  # fmt: skip
BROKEN = {"truncated", "not_an_image", "unsupported_depth"}
ANY = BROKEN | {"", "too_large"}
USABLE = {""}
# The first bytes by which decoders recognise a format, of supported and of other formats.
MAGIC = {
    "jpg": b"\xff\xd8\xff\xe0", "png": b"\x89PNG\r\n\x1a\n", "webp": b"RIFF\0\1\0\0WEBPVP8 ", "gif": b"GIF89a",
    "tif": b"II*\0", "big.tif": b"MM\0+", "bmp": b"BM", "ppm": b"P6 ", "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    "avif": b"\0\0\0\x1cftypavif", "heic": b"\0\0\0\x18ftypheic", "psd": b"8BPS", "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "ico": b"\0\0\1\0", "pdf": b"%PDF-1.7\n", "svg": b"<svg xmlns='http://www.w3.org/2000/svg'>", "zip": b"PK\3\4",
    "gz": b"\x1f\x8b", "elf": b"\x7fELF", "mp4": b"\0\0\0\x18ftypmp42", "fits": b"SIMPLE  =", "dds": b"DDS ",
}  # fmt: skip


def picture(seed: int, width: int = 64, height: int = 48) -> Image.Image:
    """A smooth random image."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file with this image."""
    stream = io.BytesIO()
    image.save(stream, KINDS.get(kind, kind), **options)
    return stream.getvalue()


def contents() -> dict[str, bytes]:
    """A valid file of every supported format, by file extension."""
    valid = {ending: saved(picture(number), ending) for number, ending in enumerate(KINDS)}
    return valid | {"heic": (ROOT / "images" / "corners.heic").read_bytes()}


def truncated() -> Iterator[tuple[str, bytes, set[str]]]:
    """Every format, truncated at every tenth."""
    for ending, content in contents().items():
        for tenth in range(1, 10):
            yield f"truncated_{tenth}.{ending}", content[: len(content) * tenth // 10], BROKEN


def flipped() -> Iterator[tuple[str, bytes, set[str]]]:
    """Every format with a few flipped bits, in the header and anywhere."""
    for ending, content in contents().items():
        for seed in range(6):
            rng = np.random.default_rng(seed)
            damaged = bytearray(content)
            reach = min(64, len(damaged)) if seed % 2 else len(damaged)
            for position in rng.integers(0, reach, 1 + seed):
                damaged[position] ^= 1 << int(rng.integers(8))
            yield f"flipped_{seed}.{ending}", bytes(damaged), ANY


def noise() -> Iterator[tuple[str, bytes, set[str]]]:
    """The first bytes of a format, then noise."""
    for number, (ending, magic) in enumerate(MAGIC.items()):
        rest = np.random.default_rng(number).integers(0, 256, 3000, dtype=np.uint8).tobytes()
        yield f"noise.{ending}", magic + rest, BROKEN | {"too_large"}
        yield f"magic_alone.{ending}", magic, BROKEN


def patched(content: bytes, at: int, *values: int, form: str) -> bytes:
    """`content` with numbers written at the offset `at`."""
    new = struct.pack(form, *values)
    return content[:at] + new + content[at + len(new) :]


def enormous() -> Iterator[tuple[str, bytes, set[str]]]:
    """Small files that declare 60,000 x 60,000 pixels, or contain megabytes of other data."""
    small = {ending: saved(picture(90), ending) for ending in ("png", "bmp", "gif", "jpg", "ppm", "tif")}
    allowed = BROKEN | {"too_large"}
    yield "bomb.png", patched(small["png"], 16, 60000, 60000, form=">II"), allowed
    yield "bomb.bmp", patched(small["bmp"], 18, 60000, 60000, form="<ii"), allowed
    yield "bomb.gif", patched(small["gif"], 6, 60000, 60000, form="<HH"), allowed
    yield "bomb.jpg", patched(small["jpg"], small["jpg"].index(b"\xff\xc0") + 5, 60000, 60000, form=">HH"), allowed
    yield "bomb.ppm", small["ppm"].replace(b"64 48", b"60000 60000"), allowed
    # The entries of width and height in the directory, tags 256 and 257, as 32-bit numbers.
    entry = re.search(rb"\x00\x01[\x03\x04]\x00\x01\x00\x00\x00", small["tif"]).start()
    huge = struct.pack("<HHIIHHII", 256, 4, 1, 60000, 257, 4, 1, 60000)
    yield "bomb.tif", small["tif"][:entry] + huge + small["tif"][entry + len(huge) :], allowed
    yield "black.png", saved(Image.new("L", (9000, 7000)), "png"), USABLE
    text = saved(picture(92), "png")
    chunk = b"zTXt" + b"comment\0\0" + zlib.compress(bytes(80_000_000), 9)
    crc = struct.pack(">I", zlib.crc32(chunk))
    yield "unpacks.png", text[:33] + struct.pack(">I", len(chunk) - 4) + chunk + crc + text[33:], ANY


def odd() -> Iterator[tuple[str, bytes, set[str]]]:
    """Empty, mislabelled, tiny, or long files, rare modes, damaged metadata."""
    exif = Image.Exif()
    exif[0x0112] = 6
    tagged = saved(picture(30), "jpg", exif=exif)
    start = tagged.index(b"Exif\0\0") + 6
    yield "zero.jpg", b"", {"empty_file"}
    yield "one_byte.jpg", b"\xff", BROKEN
    yield "text.jpg", b"This is no image.\n", {"not_an_image"}
    yield "page.jpg", b"<!DOCTYPE html><title>404 Not Found</title>", {"not_an_image"}
    yield "null_bytes.jpg", bytes(5000), {"not_an_image"}
    yield "png_within.jpg", saved(picture(31), "png"), USABLE
    yield "jpeg_within.png", saved(picture(32), "jpg"), USABLE
    yield "without_ending", saved(picture(33), "jpg"), USABLE
    yield "1x1.png", saved(picture(34, 1, 1), "png"), USABLE
    yield "1x20000.png", saved(picture(35, 1, 20000), "png"), USABLE
    yield "20000x1.jpg", saved(picture(36, 20000, 1), "jpg"), USABLE
    yield "exif_cut.jpg", tagged[:start] + bytes(12) + tagged[start + 12 :], ANY
    yield "exif_wild.jpg", tagged[:start] + b"II*\0\xff\xff\xff\xff" + tagged[start + 8 :], ANY
    yield "icc_broken.jpg", saved(picture(37), "jpg", icc_profile=b"no profile" * 30), USABLE
    yield "icc_broken.png", saved(picture(38), "png", icc_profile=bytes(200)), USABLE
    yield "cmyk.jpg", saved(picture(39).convert("CMYK"), "jpg"), USABLE
    yield "sixteen.png", saved(Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 21), "png"), USABLE
    yield "sixteen.tif", saved(Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 20), "tif"), USABLE
    yield "float.tif", saved(Image.fromarray(np.full((48, 64), np.nan, np.float32)), "tif"), {"unsupported_depth"}
    dark = Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64))
    yield "twelve_bits.tif", saved(dark, "tif"), {"unsupported_depth"}
    whole = saved(picture(45), "jpg")
    yield "without_end.jpg", whole[:-2], USABLE
    yield "half_with_end.jpg", whole[: len(whole) * 2 // 3] + whole[-2:], {"truncated"}
    height = whole.index(b"\xff\xc0") + 5
    twice = 2 * int.from_bytes(whole[height : height + 2], "big")
    yield "twice_the_height.jpg", whole[:height] + twice.to_bytes(2, "big") + whole[height + 2 :], {"truncated"}
    yield "half_zeros.jpg", whole[: len(whole) * 2 // 3] + bytes(len(whole)), {"truncated"}
    yield "bits.png", saved(picture(40).convert("1"), "png"), USABLE
    yield "palette.png", saved(picture(41).quantize(7), "png", transparency=0), USABLE
    yield "clear.webp", saved(picture(42).convert("RGBA"), "webp"), USABLE
    frames = [picture(43), picture(44)]
    for ending in ("gif", "webp", "png", "tif"):
        yield f"animated.{ending}", saved(frames[0], ending, save_all=True, append_images=frames[1:]), USABLE
    yield "Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(3000), {"not_an_image"}


def names() -> Iterator[tuple[str, bytes, set[str]]]:
    """Valid images with names that are difficult for tables, shells and HTML."""
    parts = {
        "two\nlines.jpg": {"bad_name"}, "carriage\rreturn.jpg": {"bad_name"}, "not\udcff text.jpg": {"bad_name"},
        "tab\there.jpg": {"bad_name"}, "bell\7.jpg": {"bad_name"}, "line\u2028separator.jpg": {"bad_name"},
        "n" * 251 + ".jpg": USABLE, "ü" * 125 + ".jpg": USABLE, "it's \"quoted\", `so`; $HOME.jpg": USABLE,
        "<script>alert(1)<\u2215script>.jpg": USABLE, "-rf.jpg": USABLE, " leading.jpg": USABLE,
        "trailing ": USABLE, "100%20 #1?.jpg": USABLE, "back\\slash.jpg": USABLE, "nan": USABLE, "=1+1.csv": USABLE,
        "CON": USABLE, "jpg..": USABLE, "\u202etxt.gpj": USABLE, "车 🚗.jpg": USABLE, "a,b c": USABLE,
        unicodedata.normalize("NFC", "Käfer.jpg"): USABLE, unicodedata.normalize("NFD", "Käfer.jpg"): USABLE,
    }  # fmt: skip
    for number, (name, allowed) in enumerate(parts.items()):
        yield name, saved(picture(100 + number), "jpg"), allowed


def make(folder: Path, outside: Path) -> dict[str, set[str]]:
    """Write all files, links and a pipe into `folder`; return the allowed reasons by name.

    `outside` is another folder, the target of a link.
    """
    allowed = {}
    for name, content, reasons in (*truncated(), *flipped(), *noise(), *enormous(), *odd(), *names()):
        (folder / name).write_bytes(content)
        allowed[name] = reasons
    outside.mkdir(exist_ok=True)
    (outside / "private.jpg").write_bytes(saved(picture(60), "jpg"))
    (folder / "link_out.jpg").symlink_to(outside / "private.jpg")
    (folder / "link_folder").symlink_to(outside)
    (folder / "link_up").symlink_to(folder.parent)
    (folder / "link_loop.jpg").symlink_to(folder / "link_loop.jpg")
    (folder / "link_gone.jpg").symlink_to(folder / "nothing.jpg")
    (folder / "link_device.jpg").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.jpg")
    # Links are followed: the file behind both is used under the first path.
    allowed |= {"link_folder/private.jpg": USABLE, "link_out.jpg": {"duplicate"}, "link_gone.jpg": {"missing"}}
    allowed |= {"link_loop.jpg": {"link_loop"}, "link_up": {"link_loop"}}
    allowed |= {name: {"not_a_file"} for name in ("link_device.jpg", "pipe.jpg")}
    for name in (".DS_Store", "._truncated_1.jpg"):
        (folder / name).write_bytes(b"\0\0\0\1Bud1")
    return allowed
