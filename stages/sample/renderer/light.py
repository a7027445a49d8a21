"""Light: sun, sky, reflected environment, and the shading of surfaces. All in linear RGB."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

import cv2
import numpy as np

FloatArray = np.ndarray
Pixels = np.ndarray
Weather = Literal["sunny", "overcast", "dusk"]

_GAMMA = 2.2
_TO_LINEAR = ((np.arange(256) / 255.0) ** _GAMMA).astype(np.float32)
_ENVIRONMENT_WH = (128, 64)


class Material(IntEnum):
    """The values of the material channel of a texture."""

    MATTE = 0
    PAINT = 1
    GLASS = 2
    CHROME = 3
    LAMP = 4


# Per material: reflectance at normal incidence, share of the reflection, strength of the sun's highlight.
_F0 = np.array([0.03, 0.045, 0.07, 0.50, 0.10], np.float32)
_MIRROR = np.array([0.0, 1.0, 1.0, 1.0, 0.8], np.float32)
_HIGHLIGHT = np.array([0.0, 1.0, 1.2, 1.0, 0.8], np.float32)


@dataclass(frozen=True)
class Light:
    """`sun_direction` (3,) points to the sun; colours (3,) are linear RGB radiance, 1 = white in the photo.

    `environment` (64, 128, 3) float32 is the reflected environment: rows from zenith to nadir, columns once around.
    `lamps` is the brightness of the car's own lamps.
    """

    weather: Weather
    sun_direction: FloatArray
    sun: FloatArray
    sky: FloatArray
    ground: FloatArray
    environment: Pixels
    lamps: float


def to_linear(srgb: np.ndarray) -> Pixels:
    """8-bit display values to linear float32 in 0..1 (gamma 2.2)."""
    return _TO_LINEAR[srgb]


def to_display(linear: Pixels) -> Pixels:
    """Linear values to display values in 0..255 float32; highlights are rolled off above 0.8."""
    over = np.maximum(linear - 0.8, 0)
    soft = np.minimum(linear, 0.8) + 0.2 * over / (over + 0.2)
    return np.asarray(cv2.pow(np.ascontiguousarray(soft), 1 / _GAMMA)) * np.float32(255)


def _environment(sky: FloatArray, ground: FloatArray, sun: tuple[float, float], rng: np.random.Generator) -> Pixels:
    width, height = _ENVIRONMENT_WH
    elevation = np.linspace(90, -90, height)[:, None, None]
    upper = sky * (0.55 + 0.75 * np.exp(-np.maximum(elevation, 0) / 25))
    lower = ground * (0.55 + 0.45 * np.exp(np.minimum(elevation, 0) / 20))
    image = np.where(elevation > 0, upper, lower) * np.ones((1, width, 1))
    for _ in range(int(rng.integers(6, 14))):
        start, extent = int(rng.integers(0, width)), int(rng.integers(4, 22))
        top = int(height / 2 - rng.integers(1, 9))
        columns = np.arange(start, start + extent) % width
        image[top : height // 2 + 1, columns] = sky * rng.uniform(0.08, 0.4)
    azimuth = np.linspace(0, 2 * np.pi, width, endpoint=False)[None, :, None]
    near_sun = np.cos(azimuth - sun[0]) * np.cos(np.radians(elevation - np.degrees(sun[1])))
    image = image * (1 + 0.8 * np.maximum(near_sun, 0) ** 16)
    wrapped = np.concatenate([image[:, -8:], image, image[:, :8]], axis=1).astype(np.float32)
    return np.ascontiguousarray(cv2.GaussianBlur(wrapped, (0, 0), 0.7)[:, 8:-8])


def sample_light(weather: Weather, rng: np.random.Generator) -> Light:
    """Light of one weather with a random sun and random tints."""
    azimuth = float(rng.uniform(0, 2 * np.pi))
    low, high = {"sunny": (28, 65), "overcast": (40, 80), "dusk": (8, 20)}[weather]
    elevation = float(np.radians(rng.uniform(low, high)))
    cos = np.cos(elevation)
    direction = np.array([cos * np.cos(azimuth), cos * np.sin(azimuth), np.sin(elevation)])
    warm = rng.uniform(0.0, 1.0)
    if weather == "sunny":
        sun, sky = (
            np.array([1.0, 0.95 - 0.06 * warm, 0.88 - 0.14 * warm]) * rng.uniform(0.95, 1.35),
            np.array([0.36, 0.45, 0.60]),
        )
    elif weather == "overcast":
        sun, sky = np.full(3, rng.uniform(0.08, 0.25)), np.array([0.70, 0.73, 0.77]) * rng.uniform(0.85, 1.15)
    else:
        sun, sky = (
            np.array([0.42, 0.24, 0.12]) * rng.uniform(0.6, 1.2),
            np.array([0.19, 0.20, 0.27]) * rng.uniform(0.7, 1.2),
        )
    ground = 0.20 * (sky + sun * np.sin(elevation))
    mirrored = sky * (2.0 if weather == "sunny" else 1.35)
    environment = _environment(mirrored, ground, (azimuth, elevation), rng)
    return Light(weather, direction, sun, sky, ground, environment, 1.0 if weather == "dusk" else 0.0)


def _mirrored(light: Light, direction: Pixels) -> Pixels:
    height, width = light.environment.shape[:2]
    column = np.arctan2(direction[:, 1], direction[:, 0]) * (width / (2 * np.pi))
    row = (0.5 - np.arcsin(np.clip(direction[:, 2], -1, 1)) / np.pi) * (height - 1)
    index = (np.round(row).astype(np.intp), np.round(column).astype(np.intp) % width)
    return light.environment[index]


def _ambient(light: Light, normals: Pixels, heights: Pixels) -> Pixels:
    up = 0.5 + 0.5 * normals[:, 2:]
    # Near the ground a car shades itself.
    open_sky = 0.55 + 0.45 * np.clip(heights / 0.6, 0, 1)
    return (up * light.sky.astype(np.float32) + (1 - up) * light.ground.astype(np.float32)) * open_sky[:, None]


class Surface(NamedTuple):
    """Points of surfaces: `albedo` (N, 3) linear, `materials` (N,), `normals` and `views` (N, 3) unit vectors
    (views run from the camera to the point), `heights` (N,) metres above the ground.
    """

    albedo: Pixels
    materials: np.ndarray
    normals: Pixels
    views: Pixels
    heights: Pixels


def shade(light: Light, surface: Surface) -> Pixels:
    """Radiance (N, 3) of surface points: Lambert, plus Schlick's approximation of the Fresnel reflection (1994)."""
    albedo, materials, normals, views, heights = surface
    sun = light.sun_direction.astype(np.float32)
    towards_sun = np.maximum(normals @ sun, 0)[:, None]
    diffuse = albedo * (_ambient(light, normals, heights) + towards_sun * light.sun.astype(np.float32))
    facing = np.clip(-(normals * views).sum(axis=1), 0, 1)
    reflected = views + 2 * facing[:, None] * normals
    f0, grazing = _F0[materials], (1 - facing) ** 2
    fresnel = f0 + (1 - f0) * grazing * grazing * (1 - facing)
    mirror = np.minimum(fresnel, 0.6) * _MIRROR[materials]
    result = diffuse * (1 - mirror[:, None]) + mirror[:, None] * _mirrored(light, reflected)
    towards = reflected @ sun
    bright = np.flatnonzero(towards > 0.97)  # elsewhere the highlight is below 3e-5
    highlight = towards[bright] ** 350 * _HIGHLIGHT[materials[bright]] * 2.5
    result[bright] += highlight[:, None] * light.sun.astype(np.float32)
    if light.lamps:
        shining = materials == Material.LAMP
        result[shining] += albedo[shining] * np.float32(1.4 * light.lamps)
    return result
