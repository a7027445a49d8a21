"""Ground, sky and the shadows of the cars."""

from dataclasses import dataclass

import cv2
import numpy as np

from stages.sample.renderer import raster
from stages.sample.renderer.camera import Camera
from stages.sample.renderer.car import Car
from stages.sample.renderer.light import Light, Pixels, to_linear

FloatArray = np.ndarray
_TILE = 256

# Mean colour (8-bit sRGB), strength of fine grain, strength of patches.
SURFACES: dict[str, tuple[tuple[int, int, int], float, float]] = {
    "asphalt": ((92, 92, 94), 0.16, 0.10),
    "worn_asphalt": ((122, 120, 117), 0.14, 0.14),
    "concrete": ((163, 160, 153), 0.07, 0.10),
    "gravel": ((140, 131, 116), 0.30, 0.12),
    "grass": ((78, 100, 50), 0.34, 0.22),
    "earth": ((118, 98, 74), 0.22, 0.20),
}


@dataclass(frozen=True)
class Ground:
    """A surface, its noise tile (256, 256) of factors about 1, and its markings.

    `markings` are polygons (N, 2) on the ground in metres, painted nearly white; `tiles` is the side of paving
    slabs in metres, 0 for none.
    """

    surface: str
    grain: Pixels
    patches: Pixels
    markings: tuple[FloatArray, ...]
    tiles: float


def noise_tile(rng: np.random.Generator, octaves: tuple[int, ...]) -> Pixels:
    """Noise (256, 256) float32 with mean 0 and deviation 1 that continues across its edges."""
    total = np.zeros((_TILE, _TILE), np.float32)
    for cell in octaves:
        coarse = rng.standard_normal((_TILE // cell, _TILE // cell)).astype(np.float32)
        wrapped = np.pad(coarse, 2, mode="wrap")
        large = cv2.resize(wrapped, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
        total += large[2 * cell : 2 * cell + _TILE, 2 * cell : 2 * cell + _TILE]
    return (total - total.mean()) / total.std()


def sample_ground(surface: str, rng: np.random.Generator) -> Ground:
    """A ground of the given surface, sometimes with parking bays, a lane line or slabs."""
    markings: list[FloatArray] = []
    kind = rng.uniform()
    if "asphalt" in surface and kind < 0.55:
        angle, gap = rng.uniform(0, np.pi), (float(rng.uniform(2.5, 3.2)) if kind < 0.35 else 30.0)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        length = 2.6 if kind < 0.35 else 40.0
        shift = rng.uniform(-1.5, 1.5, 2)
        for x in np.arange(-30.0, 31.0, gap):
            line = np.array([[x, -length], [x + 0.12, -length], [x + 0.12, length], [x, length]])
            markings.append((line + shift) @ turn)
    tiles = float(rng.choice([0.0, 0.5, 1.0])) if surface == "concrete" else 0.0
    return Ground(surface, noise_tile(rng, (1, 2, 4)), noise_tile(rng, (16, 32, 64)), tuple(markings), tiles)


def _lookup(tile: Pixels, x: Pixels, y: Pixels, scale: float) -> Pixels:
    period = np.float32(_TILE - 1)
    # The tile repeats; wrapped here, because remap limits the range of its maps.
    column, row = (
        scaled - period * np.floor(scaled / period) for scaled in (x * np.float32(scale), y * np.float32(scale))
    )
    return cv2.remap(tile, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _marking_mask(ground: Ground, camera: Camera, size_wh: tuple[int, int]) -> Pixels:
    mask = np.zeros((size_wh[1], size_wh[0]), np.uint8)
    for polygon in ground.markings:
        screen = camera.project(np.concatenate([polygon, np.zeros((len(polygon), 1))], axis=1))
        if screen[:, 2].min() > 0.5:
            points = np.clip(np.round(screen[:, :2] * 16), -(2**20), 2**20).astype(np.int32)
            cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def draw_ground(ground: Ground, camera: Camera, size_wh: tuple[int, int]) -> tuple[Pixels, Pixels]:
    """Albedo (H, W, 3) of the ground and elevation (H, W), the slope of each pixel's ray (negative: ground)."""
    rays = camera.ray_grid(size_wh)
    slope = rays[..., 2] / np.hypot(rays[..., 0], rays[..., 1])
    distance = np.float32(camera.position[2]) / np.maximum(-rays[..., 2], np.float32(1e-3))
    x, y = (np.float32(camera.position[axis]) + distance * rays[..., axis] for axis in (0, 1))
    colour, grain, patches = SURFACES[ground.surface]
    near = np.exp(-distance / 14)
    factor = 1 + grain * near * _lookup(ground.grain, x, y, 38.0) + patches * _lookup(ground.patches, x, y, 9.0)
    if ground.tiles:
        offset = np.minimum(np.mod(x, ground.tiles), np.mod(y, ground.tiles))
        factor *= 1 - 0.35 * near * (offset < 0.02)
    albedo = to_linear(np.array(colour, np.uint8)) * np.clip(factor, 0.15, 3)[..., None].astype(np.float32)
    marking = 0.8 * _marking_mask(ground, camera, size_wh)[..., None]
    return albedo * (1 - marking) + marking * np.float32(0.62), slope


def draw_sky(light: Light, slope: Pixels, clouds: Pixels) -> Pixels:
    """Sky (H, W, 3) by elevation, with clouds from a noise tile."""
    rise = np.clip(slope, 0, 1)[..., None]
    sky = light.sky.astype(np.float32)
    zenith, horizon = sky * np.array([0.85, 0.98, 1.22], np.float32), sky * np.array([1.45, 1.4, 1.35], np.float32)
    base = horizon + (zenith - horizon) * np.sqrt(rise)
    height, width = slope.shape
    cover = cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    amount = np.clip(0.5 * cover, 0, 0.7) * (0.3 if light.weather == "overcast" else 1.0)
    return base + amount * (1.75 * sky - base)


def _sun_shadow(car: Car, light: Light, camera: Camera, size_wh: tuple[int, int]) -> np.ndarray:
    """The cast shadow of the car on the ground: (H, W) of 0 or 255."""
    vertices = car.mesh.vertices
    fallen = vertices - vertices[:, 2:] * (light.sun_direction / light.sun_direction[2])
    screen = camera.project(fallen)
    ids = raster.triangle_ids(screen, car.mesh.triangles, car.mesh.bias, size_wh)
    turned = raster.triangle_ids(screen, car.mesh.triangles[:, ::-1], car.mesh.bias, size_wh)
    return np.where((ids >= 0) | (turned >= 0), 255, 0).astype(np.uint8)


def draw_shadows(cars: list[Car], light: Light, camera: Camera, size_wh: tuple[int, int]) -> tuple[Pixels, Pixels]:
    """Shares (H, W) of the light of sun and sky that the cars block, 0..1."""
    sun = np.zeros((size_wh[1], size_wh[0]), np.float32)
    sky = np.zeros_like(sun)
    for car in cars:
        outline = np.concatenate([car.footprint, np.full((len(car.footprint), 1), 0.0)], axis=1)
        screen = camera.project(outline)
        if screen[:, 2].min() < 0.5:
            continue
        contact = np.zeros((size_wh[1], size_wh[0]), np.uint8)
        points = np.clip(np.round(screen[:, :2] * 16), -(2**20), 2**20).astype(np.int32)
        cv2.fillPoly(contact, [points], 255, cv2.LINE_AA, 4)
        pixels_per_metre = camera.focal / float(screen[:, 2].mean())
        sky = np.maximum(sky, cv2.GaussianBlur(contact, (0, 0), max(0.8, 0.07 * pixels_per_metre)) / np.float32(255))
        cast = cv2.GaussianBlur(_sun_shadow(car, light, camera, size_wh), (0, 0), max(0.6, 0.02 * pixels_per_metre))
        sun = np.maximum(sun, cast / np.float32(255))
    return np.maximum(sun, sky), 0.88 * sky
