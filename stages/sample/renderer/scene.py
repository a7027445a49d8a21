"""A random scene: the car, its position, light, background and occluders."""

from dataclasses import dataclass, replace

import numpy as np

from stages.sample.renderer.atlas import CarAppearance, Colour
from stages.sample.renderer.bodies import BODIES, Body, vary
from stages.sample.renderer.camera import Camera, look_at
from stages.sample.renderer.car import Car, build_car, place
from stages.sample.renderer.ground import SURFACES, Ground, noise_tile, sample_ground
from stages.sample.renderer.light import Light, Pixels, Weather, sample_light

FloatArray = np.ndarray

PAINTS: tuple[Colour, ...] = (
    (232, 233, 232), (190, 193, 196), (112, 116, 120), (62, 66, 72), (24, 25, 28), (158, 22, 28), (110, 18, 24),
    (32, 62, 138), (24, 36, 74), (72, 118, 168), (34, 84, 60), (222, 176, 34), (206, 92, 26), (196, 182, 152),
    (88, 64, 48),
)  # fmt: skip
_TEXELS_PER_METRE = 150.0
_N_SURFACES = 3
# The distance of two equal cars, in projected widths of the car.
_TWIN_GAP = 1.15


@dataclass(frozen=True)
class Conditions:
    """How hard a photo is: `share` is the car's part of the frame's width, `cut` the part of the car beyond it."""

    weather: Weather
    share: float
    cut: float
    is_occluded: bool
    n_others: int


@dataclass(frozen=True)
class Scene:
    """The content of a photo. `car` is None for a photo without one; `props_seed` is for background and occluders.

    `has_person` adds a person in front of the camera.
    """

    car: Car | None
    others: tuple[Car, ...]
    camera: Camera
    light: Light
    ground: Ground
    clouds: Pixels
    is_occluded: bool
    props_seed: int
    has_person: bool = False


def sample_conditions(rng: np.random.Generator) -> Conditions:
    """Mostly plain photos; 13 % at dusk, 8 % with a small car, 10 % cut by the frame, 16 % with an occluder."""
    weather: Weather = ("sunny", "overcast", "dusk")[int(rng.choice(3, p=[0.52, 0.35, 0.13]))]
    kind = rng.uniform()
    share = float(rng.uniform(0.20, 0.32) if kind < 0.08 else rng.uniform(0.45, 0.86))
    # A small car at dusk is too hard for the networks.
    weather = "overcast" if weather == "dusk" and share < 0.4 else weather
    cut = float(rng.uniform(0.04, 0.17)) if 0.08 < kind < 0.18 else 0.0
    is_occluded = bool(0.20 < kind < 0.36)
    n_others = int(rng.choice(4, p=[0.40, 0.30, 0.20, 0.10]))
    return Conditions(weather, share, cut, is_occluded, 0 if share < 0.4 else n_others)


def sample_appearance(name: str, rng: np.random.Generator) -> CarAppearance:
    """Paint, grille, lamps, trim and rims of one car."""
    is_rugged = name in ("suv", "pickup")
    rim = int(rng.uniform(120, 205))
    return CarAppearance(
        paint=PAINTS[int(rng.integers(len(PAINTS)))],
        grille=int(rng.integers(4)),
        lamp_height=float(rng.uniform(0.10, 0.18)),
        lamp_width=float(rng.uniform(0.28, 0.46)),
        has_chrome=bool(rng.uniform() < 0.35),
        has_black_roof=bool(rng.uniform() < 0.08),
        has_black_trim=bool(rng.uniform() < (0.4 if is_rugged else 0.2)),
        spokes=int(rng.integers(5, 11)),
        rim=(rim, rim, min(255, rim + 4)),
    )


def _sample_yaw(rng: np.random.Generator) -> float:
    """The angle between nose and camera: 45 % front quarter, 29 % rear quarter, the rest anything."""
    kind = rng.uniform()
    if kind < 0.45:
        degrees = rng.uniform(8, 65)
    elif kind < 0.74:
        degrees = rng.uniform(115, 172)
    elif kind < 0.84:
        degrees = rng.uniform(68, 112)
    else:
        degrees = rng.uniform(0, 180)
    return float(np.radians(degrees) * rng.choice([-1, 1]))


def _sample_camera(distance: float, rng: np.random.Generator) -> Camera:
    kind = rng.uniform()
    height = rng.uniform(1.2, 1.9) if kind < 0.7 else rng.uniform(0.6, 1.2) if kind < 0.9 else rng.uniform(1.9, 3.2)
    position = np.array([-distance, 0.0, height])
    roll = float(np.radians(rng.normal(0, 1.0)))
    return Camera(position, look_at(position, np.array([0.0, 0.0, 0.7]), roll), 1000.0, (0.0, 0.0))


def _bounds(car: Car, camera: Camera) -> tuple[FloatArray, FloatArray]:
    screen = camera.project(car.mesh.vertices)[:, :2]
    return screen.min(axis=0), screen.max(axis=0)


def frame_car(
    car: Car, camera: Camera, conditions: Conditions, size_wh: tuple[int, int], rng: np.random.Generator
) -> Camera:
    """The camera zoomed and shifted so that the car fills its share of the frame at a random place."""
    size = np.array(size_wh, float)
    low, high = _bounds(car, camera)
    extent = high - low
    zoom = min(conditions.share * size[0] / extent[0], min(0.80, 1.4 * conditions.share) * size[1] / extent[1])
    extent, low = extent * zoom, low * zoom
    room = size - extent
    left = float(rng.uniform(0.08, 0.92) * room[0])
    top = float(rng.uniform(0.42, 0.84) * room[1])
    if conditions.cut:
        side = int(rng.integers(3))
        left = (-conditions.cut * extent[0], size[0] - (1 - conditions.cut) * extent[0], left)[side]
        top = (top, top, size[1] - (1 - 0.8 * conditions.cut) * extent[1])[side]
    return replace(camera, focal=float(camera.focal * zoom), centre=(float(left - low[0]), float(top - low[1])))


def luma(colour: Colour) -> float:
    """Brightness of an 8-bit colour, 0..255 (ITU-R BT.601)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _sample_surface(paint: Colour, rng: np.random.Generator) -> str:
    """One of the grounds with the highest contrast to the paint; masks fail where both are equally bright."""
    names = sorted(SURFACES, key=lambda name: -abs(luma(SURFACES[name][0]) - luma(paint)))[:_N_SURFACES]
    contrasts = [abs(luma(SURFACES[name][0]) - luma(paint)) for name in names]
    weights = np.array([3.0 if "asphalt" in name else 1.0 for name in names]) * contrasts
    return str(rng.choice(names, p=weights / weights.sum()))


def _sample_other(camera: Camera, size_wh: tuple[int, int], rng: np.random.Generator) -> Car:
    """A car far behind the main one, in a random orientation."""
    name = str(rng.choice(list(BODIES)))
    other = build_car(vary(BODIES[name], rng), sample_appearance(name, rng), 60.0, 40)
    depth = float(rng.uniform(2.4, 4.0)) * float(-camera.position[0])
    across = float(rng.uniform(-0.05, 1.05)) * size_wh[0] - camera.centre[0]
    position = (depth + float(camera.position[0]), -across / camera.focal * depth)
    return place(other, position, float(rng.choice([0.0, np.pi / 2, np.pi]) + rng.normal(0, 0.2)))


def _standing_car(body: Body, appearance: CarAppearance, rng: np.random.Generator) -> Car:
    return place(build_car(vary(body, rng), appearance, _TEXELS_PER_METRE, 72), (0.0, 0.0), _sample_yaw(rng))


def sample_scene(name: str, size_wh: tuple[int, int], rng: np.random.Generator, conditions: Conditions) -> Scene:
    """A random scene with a main car of type `name`."""
    body, appearance = BODIES[name], sample_appearance(name, rng)
    car = _standing_car(body, appearance, rng)
    distance = float(rng.uniform(1.5, 2.8)) * max(body.length, 4.0)
    camera = frame_car(car, _sample_camera(distance, rng), conditions, size_wh, rng)
    others = tuple(_sample_other(camera, size_wh, rng) for _ in range(conditions.n_others))
    return Scene(
        car=car,
        others=tuple(sorted(others, key=lambda other: -float(other.footprint[:, 0].mean()))),
        camera=camera,
        light=sample_light(conditions.weather, rng),
        ground=sample_ground(_sample_surface(appearance.paint, rng), rng),
        clouds=noise_tile(rng, (32, 64)),
        is_occluded=conditions.is_occluded,
        props_seed=int(rng.integers(2**32)),
    )


def with_twin(scene: Scene, size_wh: tuple[int, int]) -> Scene:
    """The scene with a second equal car beside the first, at the same distance, on the side with more room."""
    if scene.car is None:
        raise ValueError("expected a scene with a car, found one without")
    low, high = _bounds(scene.car, scene.camera)
    is_left = low[0] > size_wh[0] - high[0]
    shift = float(high[0] - low[0]) * (-_TWIN_GAP if is_left else _TWIN_GAP)
    depth = -float(scene.camera.position[0])
    across = -shift / scene.camera.focal * depth
    # Turned with the line of sight, so that the same side of both is visible.
    twin = place(scene.car, (0.0, across), float(np.arctan2(across, depth)))
    return replace(scene, others=(*scene.others, twin))
