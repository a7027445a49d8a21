"""Render a scene as a photo: layers blended, exposed, with blur and sensor noise."""

from dataclasses import dataclass

import cv2
import numpy as np

from stages.sample.renderer import props
from stages.sample.renderer.camera import Camera
from stages.sample.renderer.car import Layer, draw
from stages.sample.renderer.ground import draw_ground, draw_shadows, draw_sky
from stages.sample.renderer.light import Pixels, to_display
from stages.sample.renderer.scene import Scene

FloatArray = np.ndarray
Box = tuple[int, int, int, int]
# As a share of the distance to the car's position.
_PERSON_DEPTH = 0.7


@dataclass(frozen=True)
class RenderedPhoto:
    """`rgb` (H, W, 3) uint8; `mask` (H, W) uint8, 255 where the main car is visible.

    `visible` is the share of the main car's pixels that are in the frame and not occluded, 0..1.
    """

    rgb: np.ndarray
    mask: np.ndarray
    visible: float

    @property
    def box(self) -> Box | None:
        """The tight box (x_min, y_min, x_max, y_max) of the mask, right and bottom exclusive, or None."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        if not len(rows):
            return None
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def blend(canvas: Pixels, layer: Layer) -> Pixels:
    """Draw a layer over `canvas` (H, W, 3) in place; return the layer's alpha on the whole canvas (H, W)."""
    height, width = canvas.shape[:2]
    alpha = np.zeros((height, width), np.float32)
    rows, columns = layer.alpha.shape
    top, left = max(layer.top, 0), max(layer.left, 0)
    bottom, right = min(layer.top + rows, height), min(layer.left + columns, width)
    if bottom > top and right > left:
        part = np.s_[top - layer.top : bottom - layer.top, left - layer.left : right - layer.left]
        inside = np.s_[top:bottom, left:right]
        alpha[inside] = layer.alpha[part]
        canvas[inside] *= 1 - alpha[inside][..., None]
        canvas[inside] += layer.colour[part]
    return alpha


def _draw_backdrop(scene: Scene, size_wh: tuple[int, int], rng: np.random.Generator) -> props.Sheet:
    """Hills, buildings, trees, a wall and people behind the main car."""
    sheet, camera = props.blank_sheet(size_wh), scene.camera
    car_distance = -float(camera.position[0])
    span = 0.6 * size_wh[0] / camera.focal
    props.draw_hills(sheet, camera, rng)
    kinds = rng.choice(4, size=int(rng.integers(3, 11)), p=[0.42, 0.40, 0.06, 0.12])
    for distance, kind in zip(
        np.sort(rng.uniform(car_distance + 14, 90, len(kinds)))[::-1].tolist(), kinds, strict=True
    ):
        middle = (camera.centre[0] - 0.5 * size_wh[0]) / camera.focal
        stand = props.stand_at(camera, distance, float(rng.uniform(-span, span) - middle) * distance)
        (props.draw_building, props.draw_tree, props.draw_wall, props.draw_person)[int(kind)](sheet, stand, rng)
    return sheet


def _position_in_front(camera: Camera, box: FloatArray, rng: np.random.Generator) -> props.Stand:
    """A place between camera and car that is projected inside the car's box (left, right)."""
    depth = float(rng.uniform(0.66, 0.88)) * -float(camera.position[0])
    x = box[0] + float(rng.uniform(0.05, 0.95)) * (box[1] - box[0])
    return props.stand_at(camera, depth, (x - camera.centre[0]) / camera.focal * depth)


def _draw_occluders(scene: Scene, size_wh: tuple[int, int], rng: np.random.Generator) -> props.Sheet:
    """A pole, a person or a bush in front of the car; or only a person, if the scene has one."""
    sheet = props.blank_sheet(size_wh)
    if scene.has_person:
        depth = _PERSON_DEPTH * -float(scene.camera.position[0])
        across = (0.5 * size_wh[0] - scene.camera.centre[0]) / scene.camera.focal
        props.draw_person(sheet, props.stand_at(scene.camera, depth, across * depth), rng)
    if not scene.is_occluded or scene.car is None:
        return sheet
    screen = scene.camera.project(scene.car.mesh.vertices)
    box = np.clip(np.array([screen[:, 0].min(), screen[:, 0].max()]), 0, size_wh[0])
    kind = int(rng.choice(3, p=[0.45, 0.20, 0.35]))
    for _ in range((int(rng.integers(1, 3)), 1, 1)[kind]):
        stand = _position_in_front(scene.camera, box, rng)
        if kind == 0:
            props.draw_pole(sheet, stand, rng)
        elif kind == 1:
            props.draw_person(sheet, stand, rng)
        else:
            props.draw_foliage(sheet, stand, (float(rng.uniform(0.35, 0.9)), 0.0, float(rng.uniform(0.4, 0.85))), rng)
    return sheet


def _mix(under: Pixels, over: Pixels, share: Pixels) -> Pixels:
    """Blend `over` onto `under` with the weight `share` (H, W, 1), in the memory of `over`."""
    over -= under
    over *= share
    over += under
    return over


def _draw_world(scene: Scene, size_wh: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Ground, shadows, sky and backdrop, slightly out of focus."""
    light, camera = scene.light, scene.camera
    albedo, slope = draw_ground(scene.ground, camera, size_wh)
    cars = [*scene.others, *([scene.car] if scene.car is not None else [])]
    sun_loss, sky_loss = draw_shadows(cars, light, camera, size_wh)
    sun = (light.sun * light.sun_direction[2]).astype(np.float32)
    radiance = sun * (1 - sun_loss)[..., None] + light.sky.astype(np.float32) * (1 - sky_loss)[..., None]
    is_ground = np.clip(0.5 - slope * scene.camera.focal, 0, 1)[..., None]
    world = _mix(draw_sky(light, slope, scene.clouds), albedo * radiance, is_ground)
    colour, alpha = props.lit(_draw_backdrop(scene, size_wh, rng), light)
    world = _mix(world, colour, alpha[..., None])
    soft = np.clip(slope * camera.focal / 12 + 1.0, 0, 1)[..., None]
    return _mix(world, cv2.GaussianBlur(world, (0, 0), float(rng.uniform(0.6, 2.2))), soft)


def _develop(linear: Pixels, rng: np.random.Generator, is_dusk: bool) -> np.ndarray:
    """Exposure, blur, sensor noise: linear light to an 8-bit photo."""
    target = float(rng.uniform(0.12, 0.17) if is_dusk else rng.uniform(0.20, 0.30))
    exposed = linear * np.float32(np.clip(target / max(float(linear.mean()), 1e-3), 0.4, 2.5))
    shown = to_display(np.maximum(exposed, 0))
    shown = cv2.GaussianBlur(shown, (0, 0), float(rng.uniform(0.25, 0.75)))
    noise = rng.standard_normal(shown.shape, dtype=np.float32) * np.float32(rng.uniform(1.0, 4.5))
    return np.clip(np.round(shown + noise), 0, 255).astype(np.uint8)


def render(scene: Scene, size_wh: tuple[int, int], supersampling: int = 2) -> RenderedPhoto:
    """The photo of a scene with the mask of its main car."""
    rng = np.random.default_rng(scene.props_seed)
    canvas = _draw_world(scene, size_wh, rng)
    for other in scene.others:
        blend(canvas, draw(other, scene.camera, scene.light, size_wh, 1))
    coverage, total = np.zeros((size_wh[1], size_wh[0]), np.float32), 0.0
    if scene.car is not None:
        layer = draw(scene.car, scene.camera, scene.light, size_wh, supersampling)
        coverage, total = blend(canvas, layer), layer.total
    colour, alpha = props.lit(_draw_occluders(scene, size_wh, rng), scene.light)
    canvas = _mix(canvas, colour, alpha[..., None])
    unoccluded = coverage * (1 - alpha)
    mask = np.where(unoccluded >= 0.5, 255, 0).astype(np.uint8)
    visible = min(1.0, float(unoccluded.sum()) / total) if total else 0.0
    return RenderedPhoto(_develop(canvas, rng, scene.light.weather == "dusk"), mask, visible)
