"""Minimal ICC profiles built from published chromaticities, and float conversions to check decoding against.

The bytes follow ICC.1:2010: a header, a table of tags, and for each tag an XYZ, a curve or a text.
"""

import struct
from collections.abc import Callable

import numpy as np

# x, y of red, green, blue (IEC 61966-2-1, SMPTE EG 432-1, Adobe RGB (1998), ROMM RGB) and of the white.
D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PROPHOTO = ((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105))
ADOBE_GAMMA, PROPHOTO_GAMMA = 563 / 256, 1.8
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_PCS_WHITE = np.array([0.9642, 1.0, 0.8249])
# sRGB's curve as ICC's parametric function 3: (a x + b) ** g from d on, c x below.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

Encode = Callable[[np.ndarray], np.ndarray]


def xyz(chromaticity: tuple[float, float]) -> np.ndarray:
    """X, Y, Z of a chromaticity, with Y = 1."""
    x, y = chromaticity
    return np.array([x / y, 1, (1 - x - y) / y])


def to_pcs(primaries: tuple[tuple[float, float], ...], white: tuple[float, float] = D65) -> np.ndarray:
    """The matrix from linear R, G, B to X, Y, Z under D50, adapted by Bradford's method."""
    unscaled = np.stack([xyz(primary) for primary in primaries], axis=1)
    matrix = unscaled * np.linalg.solve(unscaled, xyz(white))
    gains = (_BRADFORD @ _PCS_WHITE) / (_BRADFORD @ xyz(white))
    return np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ matrix


def srgb_decode(encoded: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values in 0..1."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4)


def srgb_encode(linear: np.ndarray) -> np.ndarray:
    """The inverse of `srgb_decode`."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


def _curve(gamma: float | None, version: int) -> bytes:
    """A TRC: sRGB's where no gamma is given, as a parametric curve (version 4) or a table of 1024 values (2)."""
    if gamma is not None:
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    if version == 4:
        return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(_SRGB_CURVE)
    table = (srgb_decode(np.linspace(0, 1, 1024)) * 65535).round().astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", len(table)) + table.tobytes()


def _fixed(values: np.ndarray | tuple[float, ...]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _text(words: str, version: int) -> bytes:
    if version == 4:
        return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2 * len(words), 28) + words.encode(
            "utf-16-be"
        )  # fmt: skip
    return b"desc" + bytes(4) + struct.pack(">I", len(words) + 1) + words.encode() + bytes(1 + 8 + 3 + 67)


def profile(
    primaries: tuple[tuple[float, float], ...] | None,
    gamma: float | None = None,
    white: tuple[float, float] = D65,
    version: int = 4,
) -> bytes:
    """A display profile of RGB with these primaries, or of grey where there are none."""
    curve = _curve(gamma, version)
    tags = {b"desc": _text("test", version), b"wtpt": b"XYZ " + bytes(4) + _fixed(_PCS_WHITE)}
    if primaries is None:
        tags[b"kTRC"] = curve
    else:
        columns = to_pcs(primaries, white).T
        tags |= {b"rgb"[place : place + 1] + b"XYZ": b"XYZ " + bytes(4) + _fixed(columns[place]) for place in range(3)}
        tags |= {b"rgb"[place : place + 1] + b"TRC": curve for place in range(3)}
    return _assemble(tags, b"GRAY" if primaries is None else b"RGB ", version)


def _assemble(tags: dict[bytes, bytes], space: bytes, version: int) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = struct.pack(">I", start + len(body))
    kind = struct.pack(">4sI4s4s4s", b"test", version << 24, b"mntr", space, b"XYZ ")
    rest = bytes(12) + b"acsp" + bytes(28) + _fixed(_PCS_WHITE)
    return (size + kind + rest).ljust(128, b"\0") + table + body


def encoded(image: np.ndarray, primaries: tuple[tuple[float, float], ...], encode: Encode, white=D65) -> np.ndarray:
    """`(H, W, 3)` uint8 sRGB in another space, float64 0..255, not rounded and not clipped."""
    linear = srgb_decode(image / 255) @ to_pcs(SRGB).T @ np.linalg.inv(to_pcs(primaries, white)).T
    return 255 * encode(linear)


def decoded(values: np.ndarray, primaries: tuple[tuple[float, float], ...], decode: Encode, white=D65) -> np.ndarray:
    """The inverse of `encoded`, float64, for values 0..255, clipped to 0..255."""
    linear = decode(values / 255) @ to_pcs(primaries, white).T @ np.linalg.inv(to_pcs(SRGB)).T
    return 255 * srgb_encode(linear.clip(0, 1))


def gamma_encode(gamma: float) -> Encode:
    """A pure power of the linear values."""
    return lambda linear: np.maximum(linear, 0) ** (1 / gamma)


def gamma_decode(gamma: float) -> Encode:
    """The inverse of `gamma_encode`."""
    return lambda values: values**gamma
