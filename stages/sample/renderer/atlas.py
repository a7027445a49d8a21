"""The texture of a car: everything that is not shape (glass, lamps, grille, doors, arches, rims)."""

from dataclasses import dataclass

import cv2
import numpy as np

from stages.sample.renderer.bodies import Body
from stages.sample.renderer.light import Material
from stages.sample.renderer.mesh import AtlasLayout, half_width
from stages.sample.renderer.profile import Profile

FloatArray = np.ndarray
Colour = tuple[int, int, int]

BLACK: Colour = (14, 14, 15)
GLASS: Colour = (24, 28, 31)
CHROME: Colour = (150, 152, 155)
GAP: Colour = (16, 16, 17)
TAIL_LAMP: Colour = (165, 14, 18)
HEAD_LAMP: Colour = (212, 216, 222)
PLATE: Colour = (222, 222, 214)


@dataclass(frozen=True)
class CarAppearance:
    """The attributes in which two cars of the same shape differ; colours are 8-bit sRGB."""

    paint: Colour
    grille: int
    lamp_height: float
    lamp_width: float
    has_chrome: bool
    has_black_roof: bool
    has_black_trim: bool
    spokes: int
    rim: Colour


@dataclass(frozen=True)
class Texture:
    """`rgb` (H, W, 3) uint8 sRGB and `material` (H, W) uint8 of `light.Material`."""

    rgb: np.ndarray
    material: np.ndarray

    def polygon(self, texels: FloatArray, colour: Colour, material: Material) -> None:
        """Fill a polygon (N, 2) of texel positions."""
        points = np.round(texels * 16).astype(np.int32)
        cv2.fillPoly(self.rgb, [points], colour, lineType=cv2.LINE_AA, shift=4)
        cv2.fillPoly(self.material, [points], int(material), lineType=cv2.LINE_8, shift=4)

    def line(self, texels: FloatArray, colour: Colour, width: int) -> None:
        """Draw a matte line through (N, 2) texel positions, `width` texels thick."""
        points = np.round(texels * 16).astype(np.int32)
        cv2.polylines(self.rgb, [points], False, colour, width, cv2.LINE_AA, 4)
        cv2.polylines(self.material, [points], False, int(Material.MATTE), width, cv2.LINE_8, 4)

    def paste(self, mask: np.ndarray, colour: Colour, material: Material) -> None:
        """Fill a mask (rows from the top of the atlas, W)."""
        self.rgb[: len(mask)][mask] = colour
        self.material[: len(mask)][mask] = int(material)


@dataclass(frozen=True)
class Painter:
    """A texture being painted, with the layout that places parts on it in metres."""

    body: Body
    profile: Profile
    atlas: AtlasLayout
    appearance: CarAppearance
    texture: Texture

    def side(self, x: list[float], z: list[float], colour: Colour, material: Material) -> None:
        """Fill a polygon on the side, corners at `x`, `z` metres."""
        self.texture.polygon(self.atlas.side(np.array(x), np.array(z)), colour, material)

    def top(self, s: list[float], y: list[float], colour: Colour, material: Material) -> None:
        """Fill a polygon on the unrolled top and its mirror image on the other half."""
        for sign in (1.0, -1.0):
            self.texture.polygon(self.atlas.top(np.array(s), sign * np.array(y)), colour, material)

    def side_line(self, x: list[float], z: list[float], colour: Colour, width: float) -> None:
        """A line on the side, `width` in metres."""
        self.texture.line(self.atlas.side(np.array(x), np.array(z)), colour, self._texels(width))

    def top_line(self, s: list[float], y: list[float], colour: Colour, width: float) -> None:
        """A line on the unrolled top and its mirror image, `width` in metres."""
        for sign in (1.0, -1.0):
            self.texture.line(self.atlas.top(np.array(s), sign * np.array(y)), colour, self._texels(width))

    def _texels(self, width: float) -> int:
        return max(1, round(width * self.atlas.scale))


def shaded(colour: Colour, factor: float) -> Colour:
    """The colour made darker (factor < 1) or lighter."""
    red, green, blue = (int(np.clip(channel * factor, 0, 255)) for channel in colour)
    return red, green, blue


def blank(atlas: AtlasLayout, paint: Colour) -> Texture:
    """An atlas filled with paint."""
    rgb = np.empty((atlas.height, atlas.width, 3), np.uint8)
    rgb[:] = paint
    return Texture(rgb, np.full((atlas.height, atlas.width), int(Material.PAINT), np.uint8))


def paint_wheel(painter: Painter) -> None:
    """Tyre, rim with spokes and hub, and the plain patches next to them."""
    atlas, appearance = painter.atlas, painter.appearance
    row = atlas.side_height + atlas.top_height
    painter.texture.rgb[row:, : atlas.wheel] = (22, 22, 23)
    painter.texture.material[row:] = int(Material.MATTE)
    centre, radius = (atlas.wheel // 2, row + atlas.wheel // 2), atlas.wheel // 2 - 2
    disc = painter.texture.rgb
    cv2.circle(disc, centre, int(radius * 0.72), shaded(appearance.rim, 0.75), -1, cv2.LINE_AA)
    cv2.circle(disc, centre, int(radius * 0.64), (30, 30, 32), -1, cv2.LINE_AA)
    for angle in np.arange(appearance.spokes) * 2 * np.pi / appearance.spokes:
        tip = np.array([np.cos(angle), np.sin(angle)]) * radius * 0.66
        end = (round(centre[0] + tip[0]), round(centre[1] + tip[1]))
        cv2.line(disc, centre, end, appearance.rim, max(2, round(radius * 1.15 / appearance.spokes)), cv2.LINE_AA)
    cv2.circle(disc, centre, int(radius * 0.17), appearance.rim, -1, cv2.LINE_AA)
    cv2.circle(disc, centre, int(radius * 0.07), (60, 60, 62), -1, cv2.LINE_AA)
    cv2.circle(disc, centre, int(radius * 0.70), shaded(appearance.rim, 1.1), max(1, radius // 18), cv2.LINE_AA)
    trim = BLACK if appearance.has_black_trim else appearance.paint
    for index, colour in enumerate(((24, 24, 25), trim, CHROME if appearance.has_chrome else BLACK)):
        left = atlas.wheel * (1 + index)
        painter.texture.rgb[row:, left : left + atlas.wheel] = colour
        if index:
            painter.texture.material[row:, left : left + atlas.wheel] = int(Material.PAINT)


def shoulder_y(body: Body, x: float, z: float) -> float:
    """Half the width of the roof or glass at height `z`."""
    belt = float(np.interp(x, [body.cowl[0], body.rear_glass[0]], body.belt))
    return float(half_width(body, np.array(x))) * 0.95 - body.tumblehome * max(z - belt - 0.05, 0.0)
