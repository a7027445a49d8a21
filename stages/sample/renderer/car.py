"""A car as a textured mesh in the world, and its rendering."""

from dataclasses import dataclass

import cv2
import numpy as np

from stages.sample.renderer import mesh, profile, raster
from stages.sample.renderer.atlas import CarAppearance, Painter, Texture, blank, paint_wheel
from stages.sample.renderer.bodies import Body
from stages.sample.renderer.camera import Camera
from stages.sample.renderer.light import Light, Pixels, Surface, shade, to_linear
from stages.sample.renderer.side import paint_side
from stages.sample.renderer.top import paint_top

FloatArray = np.ndarray

# Pixels are shaded in blocks whose intermediate results stay in the processor's cache.
_BLOCK = 8192


@dataclass(frozen=True)
class Car:
    """A textured mesh with vertices in world coordinates; the wheels stand on z = 0."""

    mesh: mesh.Mesh
    texture: Texture
    footprint: FloatArray


@dataclass(frozen=True)
class Layer:
    """Part of an image: `colour` (h, w, 3) linear, multiplied by `alpha` (h, w) in 0..1, both float32.

    `left` and `top` place it in the photo. `total` is the number of pixels that the object would cover
    without the frame and without occluders.
    """

    colour: Pixels
    alpha: Pixels
    left: int
    top: int
    total: float


def build_car(body: Body, appearance: CarAppearance, scale: float, stations: int) -> Car:
    """A car with its middle at the origin and its nose towards -x; `scale` is texels per metre."""
    curve = profile.trace(body)
    atlas = mesh.layout(body, curve, scale)
    painter = Painter(body, curve, atlas, appearance, blank(atlas, appearance.paint))
    paint_side(painter)
    paint_top(painter)
    paint_wheel(painter)
    shape = mesh.build(body, curve, atlas, stations)
    middle = np.array([0.5 * body.length, 0.0, 0.0])
    moved = mesh.Mesh(shape.vertices - middle, shape.normals, shape.uv, shape.triangles, shape.bias)
    half_length, half_width = 0.5 * body.length, 0.5 * body.width
    corners = np.array([[-1, -0.8], [-0.9, -1], [0.9, -1], [1, -0.8], [1, 0.8], [0.9, 1], [-0.9, 1], [-1, 0.8]])
    return Car(moved, painter.texture, corners * [half_length, half_width])


def place(car: Car, position: tuple[float, float], yaw: float) -> Car:
    """The car turned by `yaw` radians about the vertical and moved to `position` on the ground."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    shape = car.mesh
    vertices = shape.vertices @ turn + np.array([*position, 0.0])
    turned = mesh.Mesh(vertices, shape.normals @ turn, shape.uv, shape.triangles, shape.bias)
    return Car(turned, car.texture, car.footprint @ turn[:2, :2] + np.array(position))


def _region(screen: FloatArray, size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """Whole pixels around the projected car, at most one frame size beyond the frame."""
    front = screen[screen[:, 2] > 0.2]
    if not len(front):
        return 0, 0, 0, 0
    low = np.maximum(np.floor(front[:, :2].min(axis=0)) - 1, -np.array(size_wh))
    high = np.minimum(np.ceil(front[:, :2].max(axis=0)) + 1, 2 * np.array(size_wh))
    left, top, right, bottom = (int(value) for value in (*low, *np.maximum(high, low)))
    return left, top, right, bottom


def _sample(texture: Texture, uv: Pixels) -> tuple[Pixels, np.ndarray]:
    """Texture colour (N, 3) linear and material (N,) at texels (N, 2)."""
    across, down = (np.ascontiguousarray(uv[:, axis]) for axis in (0, 1))
    rgb = cv2.remap(texture.rgb, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    material = cv2.remap(texture.material, across, down, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return to_linear(rgb.reshape(-1, 3)), material.reshape(-1)


def _unit(vectors: Pixels) -> Pixels:
    lengths = np.sqrt(np.einsum("ni,ni->n", vectors, vectors))
    return vectors / np.maximum(lengths, np.float32(1e-6))[:, None]


def _shade_pixels(
    car: Car, screen: FloatArray, camera: Camera, light: Light, fragments: tuple[np.ndarray, FloatArray]
) -> Pixels:
    """Radiance (N, 3) of `fragments`: triangle numbers (N,) and pixel positions (N, 2)."""
    shape = car.mesh
    table = np.concatenate([shape.vertices, shape.normals, shape.uv], axis=1).astype(np.float32)
    flat = raster.planes(screen, shape.triangles)
    eye = camera.position.astype(np.float32)
    result = np.empty((len(fragments[0]), 3), np.float32)
    for start in range(0, len(result), _BLOCK):
        ids, pixels = (part[start : start + _BLOCK] for part in fragments)
        weights = raster.barycentrics(flat, ids, pixels)
        mixed = raster.interpolate(table, shape.triangles[ids], weights)
        albedo, materials = _sample(car.texture, mixed[:, 6:])
        views, normals = _unit(mixed[:, :3] - eye), _unit(mixed[:, 3:6])
        result[start : start + _BLOCK] = shade(light, Surface(albedo, materials, normals, views, mixed[:, 2]))
    return result


def draw(car: Car, camera: Camera, light: Light, size_wh: tuple[int, int], supersampling: int) -> Layer:
    """Render `car` for a photo of `size_wh`, with `supersampling` squared samples per pixel."""
    left, top, right, bottom = _region(camera.project(car.mesh.vertices), size_wh)
    if right - left < 2 or bottom - top < 2:
        return Layer(np.zeros((1, 1, 3), np.float32), np.zeros((1, 1), np.float32), 0, 0, 0.0)
    fine = camera.moved((left, top), float(supersampling))
    screen = fine.project(car.mesh.vertices)
    size = ((right - left) * supersampling, (bottom - top) * supersampling)
    ids = raster.triangle_ids(screen, car.mesh.triangles, car.mesh.bias, size)
    rows, columns = np.nonzero(ids >= 0)
    total = len(rows) / supersampling**2
    x, y = columns // supersampling + left, rows // supersampling + top
    inside = (x >= 0) & (x < size_wh[0]) & (y >= 0) & (y < size_wh[1])
    rows, columns = rows[inside], columns[inside]
    colour = np.zeros((*ids.shape, 3), np.float32)
    pixels = np.stack([columns, rows], axis=-1) + 0.5
    if len(rows):
        colour[rows, columns] = _shade_pixels(car, screen, camera, light, (ids[rows, columns], pixels))
    small = (right - left, bottom - top)
    alpha = cv2.resize((ids >= 0).astype(np.float32), small, interpolation=cv2.INTER_AREA)
    return Layer(cv2.resize(colour, small, interpolation=cv2.INTER_AREA), alpha, left, top, total)
