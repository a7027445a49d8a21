"""The side of a car: windows, doors, arches, sills and the lamps' wrap-around ends."""

import cv2
import numpy as np

from stages.sample.renderer.atlas import BLACK, CHROME, GAP, GLASS, HEAD_LAMP, TAIL_LAMP, Painter, shaded
from stages.sample.renderer.light import Material

FloatArray = np.ndarray


def lamp_band(painter: Painter) -> tuple[float, float]:
    """Lower and upper edge (z) of the head lamps."""
    top = painter.body.nose[1] - 0.03
    return top - painter.appearance.lamp_height, top


def tail_band(painter: Painter) -> tuple[float, float]:
    """Lower and upper edge (z) of the tail lamps."""
    body = painter.body
    top = min(body.deck[1], body.belt[1]) - 0.04
    return top - 1.3 * painter.appearance.lamp_height - (0.15 if body.height > 1.7 else 0.0), top


def _belt(painter: Painter, x: FloatArray) -> FloatArray:
    body = painter.body
    return np.interp(x, [body.cowl[0], body.rear_glass[0]], body.belt)


def _window_mask(painter: Painter) -> np.ndarray:
    """The glass on the side of the atlas: below a frame along the roof line, between the pillars."""
    body, atlas = painter.body, painter.atlas
    x = (np.arange(atlas.width) + 0.5) / atlas.scale
    z = (atlas.side_height - 0.5 - np.arange(atlas.side_height))[:, None] / atlas.scale
    outline = (z < painter.profile.heights(x)).astype(np.uint8)
    frame = 2 * max(1, round(0.075 * atlas.scale)) + 1
    inside = cv2.erode(outline, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (frame, frame))) > 0
    above = z - _belt(painter, x) - 0.035
    glass = np.zeros(outline.shape, bool)
    for number, (start, end) in enumerate(body.windows):
        is_last = number == len(body.windows) - 1
        lean = (body.rear_glass[0] - body.rear_header[0]) / (body.rear_header[1] - body.rear_glass[1])
        left = start + 0.10 * above if number else start - 0.10 + 0.55 * above
        right = end - 0.75 * lean * above if is_last and body.has_rear_window else end + 0.10 * above
        glass |= (x > left) & (x < right) & inside & (above > 0)
    return glass


def paint_windows(painter: Painter) -> None:
    """Side glass with a dark or bright surround."""
    glass = _window_mask(painter)
    grown = 2 * max(1, round(0.022 * painter.atlas.scale)) + 1
    surround = cv2.dilate(glass.astype(np.uint8), np.ones((grown, grown), np.uint8)) > 0
    is_bright = painter.appearance.has_chrome
    painter.texture.paste(surround, CHROME if is_bright else BLACK, Material.CHROME if is_bright else Material.MATTE)
    closed = 2 * max(1, round(0.06 * painter.atlas.scale)) + 1
    pillars = cv2.morphologyEx(glass.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((1, closed), np.uint8)) > 0
    painter.texture.paste(pillars & ~glass, BLACK, Material.MATTE)
    painter.texture.paste(glass, GLASS, Material.GLASS)


def _door_edge(painter: Painter, x: float) -> tuple[list[float], list[float]]:
    """A door gap from the belt down to the sill, bent around the rear wheel arch."""
    body = painter.body
    low = body.clearance + 0.10
    belt = float(_belt(painter, np.array(x)))
    reach = 1.22 * body.wheel_radius
    z = np.linspace(belt, low, 12)
    bent = np.full_like(z, x)
    for axle in body.axles:
        inside = np.sqrt(np.maximum(reach**2 - (z - body.wheel_radius) ** 2, 0))
        close = np.abs(bent - axle) < inside
        bent = np.where(close, axle + np.where(x < axle, -inside, inside), bent)
    return bent.tolist(), z.tolist()


def paint_doors(painter: Painter) -> None:
    """Door gaps, handles, crease and sill."""
    body, appearance = painter.body, painter.appearance
    sill = body.clearance + 0.09
    start, end = body.doors[0], body.doors[-1]
    for x in body.doors:
        painter.side_line(*_door_edge(painter, x), GAP, 0.014)
    painter.side_line([start, end], [sill, sill], GAP, 0.012)
    for front, rear in zip(body.doors[:-1], body.doors[1:], strict=True):
        belt = float(_belt(painter, np.array(rear)))
        if rear - front < 1.6:
            handle = CHROME if appearance.has_chrome else shaded(appearance.paint, 0.55)
            ends = [rear - 0.26, rear - 0.08, rear - 0.08, rear - 0.26]
            heights = [belt - 0.12, belt - 0.12, belt - 0.085, belt - 0.085]
            painter.side(ends, heights, handle, Material.PAINT)
    crease = 0.72 * body.belt[0]
    painter.side_line([0.5, body.length - 0.4], [crease, crease + 0.06], shaded(appearance.paint, 0.8), 0.012)
    colour = BLACK if appearance.has_black_trim else shaded(appearance.paint, 0.5)
    low = body.clearance + 0.07
    painter.side([0, body.length, body.length, 0], [0, 0, low, low], colour, Material.MATTE)


def paint_arches(painter: Painter) -> None:
    """Dark wheel arches 1.15 times the wheel's radius, lined with plastic where the trim is black."""
    body, atlas = painter.body, painter.atlas
    angle = np.linspace(0, 2 * np.pi, 40)
    for x in body.axles:
        rims = [(1.15, (6, 6, 6))]
        if painter.appearance.has_black_trim:
            rims.insert(0, (1.30, (30, 30, 32)))
        for factor, colour in rims:
            radius = factor * body.wheel_radius
            circle = atlas.side(x + radius * np.cos(angle), body.wheel_radius + radius * np.sin(angle))
            painter.texture.polygon(circle, colour, Material.MATTE)


def paint_side_lamps(painter: Painter) -> None:
    """The ends of head and tail lamps that reach around the corners, and the bumpers' gaps."""
    body = painter.body
    low, high = lamp_band(painter)
    painter.side([0, 0.42, 0.30, 0], [high, high + 0.02, low + 0.02, low], HEAD_LAMP, Material.LAMP)
    low, high = tail_band(painter)
    length = body.length
    painter.side(
        [length - 0.30, length, length, length - 0.22], [high, high, low, low + 0.02], TAIL_LAMP, Material.LAMP
    )
    front, rear = body.axles
    reach = 1.15 * body.wheel_radius
    low = body.wheel_radius + 0.2
    painter.side_line([0.0, front - reach], [lamp_band(painter)[0] - 0.06, low], GAP, 0.010)
    painter.side_line([rear + reach, length], [low, tail_band(painter)[0] - 0.08], GAP, 0.010)


def paint_side(painter: Painter) -> None:
    """Paint the side; later parts cover earlier ones."""
    paint_doors(painter)
    paint_windows(painter)
    paint_side_lamps(painter)
    paint_arches(painter)
