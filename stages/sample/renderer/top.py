"""The unrolled top of a car: front, bonnet, windscreen, roof, rear window, boot and tail."""

import cv2
import numpy as np

from stages.sample.renderer.atlas import (
    BLACK,
    CHROME,
    GAP,
    GLASS,
    HEAD_LAMP,
    PLATE,
    TAIL_LAMP,
    Colour,
    Painter,
    shaded,
    shoulder_y,
)
from stages.sample.renderer.light import Material
from stages.sample.renderer.mesh import half_width
from stages.sample.renderer.side import lamp_band, tail_band


def _end_half_width(painter: Painter, x: float) -> float:
    return float(half_width(painter.body, np.array(x)))


def _band(painter: Painter, low: float, high: float, is_front: bool) -> tuple[float, float]:
    length_at = painter.profile.front_s if is_front else painter.profile.rear_s
    return length_at(low), length_at(high)


def _block(
    painter: Painter, band: tuple[float, float], y: tuple[float, float], colour: Colour, material: Material
) -> None:
    """A rectangle between two lengths `band` and two distances `y` from the middle, on both halves."""
    s0, s1 = band
    painter.top([s0, s1, s1, s0], [y[0], y[0], y[1], y[1]], colour, material)


def _plate(painter: Painter, z: float, is_front: bool) -> None:
    _block(painter, _band(painter, z - 0.065, z + 0.065, is_front), (0, 0.27), (40, 40, 42), Material.MATTE)
    _block(painter, _band(painter, z - 0.055, z + 0.055, is_front), (0, 0.26), PLATE, Material.MATTE)
    s0, s1 = _band(painter, z - 0.03, z + 0.03, is_front)
    for y in (0.04, 0.09, 0.14, 0.20):
        painter.top_line([s0, s1], [y, y], (40, 40, 48), 0.028)


def paint_front(painter: Painter) -> None:
    """Bumper, grille, badge, head lamps and plate."""
    body, appearance = painter.body, painter.appearance
    half = _end_half_width(painter, 0.05)
    low, high = lamp_band(painter)
    base = body.clearance
    _block(
        painter,
        (0.0, painter.profile.front_s(base + 0.10)),
        (0, half),
        BLACK if appearance.has_black_trim else shaded(appearance.paint, 0.5),
        Material.MATTE,
    )
    _block(painter, _band(painter, base + 0.11, base + 0.22, True), (0, 0.55 * half), BLACK, Material.MATTE)
    for inner in (0.68 * half,):
        _block(painter, _band(painter, base + 0.14, base + 0.24, True), (inner, inner + 0.16), BLACK, Material.MATTE)
    _grille(painter, low - 0.04, high - 0.01, half)
    s0, s1 = painter.profile.front_s(low), painter.profile.front_s(high)
    inner = half - appearance.lamp_width
    painter.top(
        [s0, s1 + 0.04, s1 + 0.08, s0],
        [inner + 0.03, inner, 0.5 * body.width, 0.5 * body.width],
        HEAD_LAMP,
        Material.LAMP,
    )
    middle, reach = 0.5 * (s0 + s1), 0.34 * (s1 - s0)
    _block(
        painter,
        (middle - reach, middle + reach),
        (inner + 0.08, inner + 0.08 + 2 * reach),
        (96, 100, 106),
        Material.LAMP,
    )
    _plate(painter, max(0.42, base + 0.27), True)


def _grille(painter: Painter, low: float, high: float, half: float) -> None:
    """One of four grille shapes: wide, tall, slim, or barred with a bright frame."""
    appearance = painter.appearance
    reach = (0.62, 0.42, 0.66, 0.50)[appearance.grille] * half
    lower = (low, low - 0.12, 0.5 * (low + high) + 0.02, low - 0.06)[appearance.grille]
    s0, s1 = _band(painter, lower, high, True)
    bright = CHROME if appearance.has_chrome else shaded(appearance.paint, 0.6)
    painter.top(
        [s0 - 0.02, s1 + 0.02, s1 + 0.02, s0 - 0.02],
        [0, 0, reach + 0.025, 0.9 * reach + 0.02],
        bright,
        Material.CHROME,
    )
    painter.top([s0, s1, s1, s0], [0, 0, reach, 0.9 * reach], BLACK, Material.MATTE)
    for share in np.linspace(0.2, 0.8, 4 if appearance.grille != 2 else 2):
        s = s0 + share * (s1 - s0)
        painter.top_line([s, s], [0, 0.9 * reach], shaded(bright, 0.7), 0.012)
    centre = painter.atlas.top(np.array(0.5 * (s0 + s1)), np.array(0.0))
    cv2.circle(
        painter.texture.rgb,
        tuple(np.round(centre).astype(int).tolist()),
        round(0.055 * painter.atlas.scale),
        CHROME,
        -1,
        cv2.LINE_AA,
    )


def paint_bonnet(painter: Painter) -> None:
    """The bonnet's gaps and creases and the dark strip below the windscreen."""
    body, marks, appearance = painter.body, painter.profile.marks, painter.appearance
    start, end = marks["nose"] + 0.05, marks["cowl"] - 0.06
    half = 0.5 * body.width
    painter.top_line([start, end], [0.66 * half, 0.80 * half], GAP, 0.012)
    painter.top_line([start, start], [0, 0.66 * half], GAP, 0.012)
    painter.top_line([start, end], [0.30 * half, 0.42 * half], shaded(appearance.paint, 0.86), 0.02)
    _block(painter, (end, marks["cowl"] + 0.03), (0, 0.82 * half), BLACK, Material.MATTE)


def _glass(painter: Painter, ends: tuple[str, str], margin: tuple[float, float]) -> None:
    """A windscreen between two marks; the first margin is at the first mark."""
    body, marks = painter.body, painter.profile.marks
    points = [(marks[ends[0]] + margin[0], ends[0]), (marks[ends[1]] - margin[1], ends[1])]
    s = [length for length, _ in points]
    y = [shoulder_y(body, *getattr(body, name)) - 0.07 for _, name in points]
    outer = [value + 0.025 for value in y]
    painter.top([s[0] - 0.02, s[1] + 0.02, s[1] + 0.02, s[0] - 0.02], [0, 0, outer[1], outer[0]], BLACK, Material.MATTE)
    painter.top([s[0], s[1], s[1], s[0]], [0, 0, y[1], y[0]], GLASS, Material.GLASS)


def paint_windscreens(painter: Painter) -> None:
    """Windscreen with inner mirror and wipers; rear window."""
    marks = painter.profile.marks
    _glass(painter, ("cowl", "header"), (0.03, 0.05))
    painter.top_line([marks["header"] - 0.10, marks["header"] - 0.16], [0.0, 0.0], BLACK, 0.16)
    painter.top_line([marks["cowl"] + 0.01, marks["cowl"] + 0.06], [0.05, 0.55], BLACK, 0.018)
    if painter.body.has_rear_window:
        _glass(painter, ("rear_header", "rear_glass"), (0.06, 0.03))


def paint_roof(painter: Painter) -> None:
    """A black roof, a load bed, and the gap of the boot lid."""
    body, marks, appearance = painter.body, painter.profile.marks, painter.appearance
    if appearance.has_black_roof:
        reach = shoulder_y(body, *body.header) + 0.2
        _block(painter, (marks["header"] - 0.05, marks["rear_header"] + 0.06), (0, reach), BLACK, Material.PAINT)
    half = 0.5 * body.width
    if body.has_bed:
        _block(
            painter,
            (marks["rear_glass"] + 0.06, marks["deck"] - 0.07),
            (0, 0.80 * half),
            (26, 26, 28),
            Material.MATTE,
        )
    else:
        painter.top_line([marks["rear_glass"] + 0.05, marks["deck"]], [0.72 * half, 0.72 * half], GAP, 0.012)


def paint_tail(painter: Painter) -> None:
    """Tail lamps, plate, lid gap and the lower bumper."""
    body, appearance, profile = painter.body, painter.appearance, painter.profile
    half = _end_half_width(painter, body.length - 0.05)
    low, high = tail_band(painter)
    inner = half - (0.24 if body.height > 1.7 else 0.40)
    s1, s0 = _band(painter, low, high, False)
    painter.top([s0, s1, s1, s0], [inner, inner + 0.04, 0.5 * body.width, 0.5 * body.width], TAIL_LAMP, Material.LAMP)
    _block(
        painter,
        (s0 + 0.55 * (s1 - s0), s0 + 0.75 * (s1 - s0)),
        (inner + 0.05, half),
        (214, 206, 200),
        Material.LAMP,
    )
    lid = profile.rear_s(low - 0.22)
    painter.top_line([s0, lid, lid], [inner - 0.02, inner - 0.02, 0], GAP, 0.012)
    base = body.clearance
    _block(
        painter,
        (profile.rear_s(base + 0.14), profile.s[-1]),
        (0, half),
        BLACK if appearance.has_black_trim else shaded(appearance.paint, 0.45),
        Material.MATTE,
    )
    _plate(painter, 0.5 * (low + high) - 0.04, False)
    if body.height > 1.7 and not body.has_rear_window:
        painter.top_line([profile.rear_s(body.rear_header[1]), lid], [0.0, 0.0], GAP, 0.016)


def paint_top(painter: Painter) -> None:
    """Paint the unrolled top."""
    paint_roof(painter)
    paint_bonnet(painter)
    paint_windscreens(painter)
    paint_front(painter)
    paint_tail(painter)
