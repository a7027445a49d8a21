"""Flat upright objects of a scene: buildings, walls, trees, bushes, people, poles.

They are drawn as polygons into an 8-bit image with an alpha channel, farthest first.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from stages.sample.renderer.camera import Camera
from stages.sample.renderer.light import Light, Pixels, to_linear

FloatArray = np.ndarray
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Sheet:
    """An image being drawn: `rgb` (H, W, 3) and `alpha` (H, W), uint8."""

    rgb: np.ndarray
    alpha: np.ndarray

    def polygon(self, points: FloatArray, colour: Colour) -> None:
        """Fill a polygon (N, 2) of pixel positions."""
        fixed = np.clip(np.round((points - 0.5) * 16), -(2**20), 2**20).astype(np.int32)
        cv2.fillPoly(self.rgb, [fixed], colour, cv2.LINE_AA, 4)
        cv2.fillPoly(self.alpha, [fixed], 255, cv2.LINE_AA, 4)

    def circle(self, centre: FloatArray, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        fixed = np.clip(np.round((centre - 0.5) * 16), -(2**20), 2**20).astype(int).tolist()
        for image, value in ((self.rgb, colour), (self.alpha, 255)):
            cv2.circle(image, fixed, max(8, int(radius * 16)), value, -1, cv2.LINE_AA, 4)

    def limb(self, start: FloatArray, end: FloatArray, width: float, colour: Colour) -> None:
        """A thick line with round ends."""
        across = np.array([start[1] - end[1], end[0] - start[0]])
        across = 0.5 * width * across / max(float(np.hypot(*across)), 1e-6)
        self.polygon(np.stack([start + across, end + across, end - across, start - across]), colour)
        self.circle(start, 0.5 * width, colour)
        self.circle(end, 0.5 * width, colour)


def blank_sheet(size_wh: tuple[int, int]) -> Sheet:
    """An empty, transparent sheet."""
    return Sheet(np.zeros((size_wh[1], size_wh[0], 3), np.uint8), np.zeros((size_wh[1], size_wh[0]), np.uint8))


def lit(sheet: Sheet, light: Light) -> tuple[Pixels, Pixels]:
    """Linear colours (H, W, 3) under the scene's light, and alpha (H, W) in 0..1."""
    strength = 0.75 * light.sky + 0.45 * light.sun
    return to_linear(sheet.rgb) * strength.astype(np.float32), sheet.alpha.astype(np.float32) / 255


@dataclass(frozen=True)
class Stand:
    """A position on the ground in front of the camera, with the scale of its projection."""

    camera: Camera
    position: FloatArray

    @property
    def scale(self) -> float:
        """Pixels per metre there."""
        return self.camera.focal / float(self.camera.project(self.position)[2])

    def points(self, across: list[float], up: list[float]) -> FloatArray:
        """Pixels (N, 2) of points `across` metres to the right and `up` metres above the ground."""
        right = self.camera.rotation[0] * [1.0, 1.0, 0.0]
        right /= np.linalg.norm(right)
        world = self.position + np.array(across)[:, None] * right + np.array(up)[:, None] * np.array([0.0, 0.0, 1.0])
        return self.camera.project(world)[:, :2]


def stand_at(camera: Camera, distance: float, across: float) -> Stand:
    """The position `distance` metres in front of the camera and `across` metres to the right of its view."""
    forward = camera.rotation[2] * [1.0, 1.0, 0.0]
    forward /= np.linalg.norm(forward)
    right = np.array([forward[1], -forward[0], 0.0])
    position = camera.position * [1.0, 1.0, 0.0] + distance * forward + across * right
    return Stand(camera, position)


def _varied(colour: Colour, rng: np.random.Generator, spread: float) -> Colour:
    red, green, blue = np.clip(np.array(colour) * (1 + spread * rng.standard_normal()), 0, 255).astype(int).tolist()
    return red, green, blue


def draw_building(sheet: Sheet, stand: Stand, rng: np.random.Generator) -> None:
    """A facade with rows of windows."""
    width, floors = float(rng.uniform(7, 18)), int(rng.integers(1, 5))
    height = 3.1 * floors + 0.8
    tone = float(rng.uniform(80, 175))
    wall: Colour = (int(tone), int(tone * rng.uniform(0.82, 0.98)), int(tone * rng.uniform(0.66, 0.95)))
    half = 0.5 * width
    sheet.polygon(stand.points([-half, half, half, -half], [0, 0, height, height]), wall)
    sheet.polygon(stand.points([-half, half, half, -half], [height - 0.3] * 2 + [height] * 2), _varied(wall, rng, 0.2))
    pane = _varied((52, 60, 70), rng, 0.25)
    step = float(rng.uniform(1.8, 3.0))
    for floor in range(floors):
        base = 3.1 * floor + 0.9
        for x in np.arange(-half + 0.7, half - 1.3, step):
            sheet.polygon(stand.points([x, x + 1.1, x + 1.1, x], [base, base, base + 1.5, base + 1.5]), pane)


def draw_wall(sheet: Sheet, stand: Stand, rng: np.random.Generator) -> None:
    """A long wall or fence."""
    height = float(rng.uniform(0.8, 2.2))
    colour = _varied(((128, 112, 96), (104, 108, 104), (92, 66, 50))[int(rng.integers(3))], rng, 0.12)
    sheet.polygon(stand.points([-60, 60, 60, -60], [0, 0, height, height]), colour)
    sheet.polygon(stand.points([-60, 60, 60, -60], [height - 0.1] * 2 + [height] * 2), _varied(colour, rng, 0.2))


def draw_foliage(sheet: Sheet, stand: Stand, box: tuple[float, float, float], rng: np.random.Generator) -> None:
    """Leaves in an ellipse; `box` is its half width and its lower and upper height in metres."""
    half, low, high = box
    green: Colour = (int(rng.uniform(40, 82)), int(rng.uniform(70, 108)), int(rng.uniform(28, 52)))
    middle, reach = 0.5 * (low + high), 0.5 * (high - low)
    for share in np.linspace(0, 1, 46):
        angle, radius = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 1))
        x, z = half * radius * np.cos(angle), middle + reach * radius * np.sin(angle)
        bright = 0.55 + 0.5 * share + 0.25 * (z - middle) / max(reach, 0.1)
        leaf = float(rng.uniform(0.12, 0.30)) * min(half, reach)
        centre = stand.points([x], [max(z, leaf * 0.5)])[0]
        sheet.circle(
            centre,
            leaf * stand.scale,
            _varied((int(green[0] * bright), int(green[1] * bright), int(green[2] * bright)), rng, 0.08),
        )


def draw_tree(sheet: Sheet, stand: Stand, rng: np.random.Generator) -> None:
    """A trunk with a crown."""
    height = float(rng.uniform(4, 9))
    foot, crown = stand.points([0, 0], [0, 0.6 * height])
    sheet.limb(foot, crown, 0.3 * stand.scale, _varied((74, 60, 46), rng, 0.15))
    draw_foliage(sheet, stand, (float(rng.uniform(1.4, 3.0)), 0.3 * height, height), rng)


def draw_person(sheet: Sheet, stand: Stand, rng: np.random.Generator) -> None:
    """A standing or walking person."""
    tall, stride = float(rng.uniform(1.58, 1.9)), float(rng.uniform(0.05, 0.28))
    clothes = [tuple(int(value) for value in rng.integers(20, 170, 3)) for _ in range(2)]
    trousers, jacket = (clothes[0][0], clothes[0][1], clothes[0][2]), (clothes[1][0], clothes[1][1], clothes[1][2])
    skin = _varied((196, 150, 122), rng, 0.2)
    scale = stand.scale
    hip = stand.points([0], [0.50 * tall])[0]
    for foot in (-stride, stride):
        sheet.limb(hip, stand.points([foot], [0.05])[0], 0.15 * scale, trousers)
    sheet.polygon(
        stand.points([-0.20, 0.20, 0.16, -0.16], [0.82 * tall, 0.82 * tall, 0.48 * tall, 0.48 * tall]), jacket
    )
    for arm in (-1.0, 1.0):
        shoulder, hand = stand.points([0.21 * arm, (0.24 + 0.5 * stride) * arm], [0.79 * tall, 0.47 * tall])
        sheet.limb(shoulder, hand, 0.10 * scale, _varied(jacket, rng, 0.1))
    sheet.circle(stand.points([0], [0.92 * tall])[0], 0.115 * scale, skin)


def draw_pole(sheet: Sheet, stand: Stand, rng: np.random.Generator) -> None:
    """A lamp post or the post of a sign."""
    width = float(rng.uniform(0.07, 0.15))
    grey = int(rng.uniform(60, 150))
    foot, head = stand.points([0, 0], [0, float(rng.uniform(2.6, 6))])
    sheet.limb(foot, head, width * stand.scale, (grey, grey, int(grey * 0.98)))


def draw_hills(sheet: Sheet, camera: Camera, rng: np.random.Generator) -> None:
    """A distant ridge in haze."""
    stand = stand_at(camera, 300.0, 0.0)
    x = np.linspace(-600, 600, 60)
    z = rng.uniform(4, 26) * (1 + 0.35 * np.sin(x / rng.uniform(50, 160) + rng.uniform(0, 6))) + rng.uniform(0, 3, 60)
    outline = stand.points([*x.tolist(), 600, -600], [*z.tolist(), -1, -1])
    sheet.polygon(outline, _varied((102, 118, 112), rng, 0.15))
