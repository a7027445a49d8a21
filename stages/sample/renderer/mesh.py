"""Triangle meshes of cars: a body lofted along its profile, four wheels, two mirrors, roof rails."""

from dataclasses import dataclass

import numpy as np

from stages.sample.renderer.bodies import Body
from stages.sample.renderer.profile import Profile

FloatArray = np.ndarray
IntArray = np.ndarray
Point3 = tuple[float, float, float]

SIDE_POINTS = 9
TOP_POINTS = 11
_WHEEL_SEGMENTS = 24
_WHEEL_WIDTH = 0.2


@dataclass(frozen=True)
class AtlasLayout:
    """The positions of the parts of the texture atlas, in texels; `scale` is texels per metre.

    The side (x right, z up) is at the top, the unrolled top (s right, y down) below it, then the wheel disc and
    patches of plain tyre, paint and trim.
    """

    scale: float
    side_height: int
    top_height: int
    wheel: int
    width: int

    @property
    def height(self) -> int:
        """Rows of the whole atlas."""
        return self.side_height + self.top_height + self.wheel

    def side(self, x: FloatArray, z: FloatArray) -> FloatArray:
        """Texels (..., 2) as (column, row) of points on the side."""
        return np.stack([x * self.scale, self.side_height - 1 - z * self.scale], axis=-1)

    def top(self, s: FloatArray, y: FloatArray) -> FloatArray:
        """Texels (..., 2) of points on the unrolled top; `y` in metres from the middle."""
        return np.stack([s * self.scale, self.side_height + 0.5 * self.top_height + y * self.scale], axis=-1)

    def disc(self, u: FloatArray, v: FloatArray) -> FloatArray:
        """Texels (..., 2) of points on the wheel, `u` and `v` in -1..1."""
        half = 0.5 * self.wheel
        row = self.side_height + self.top_height + half
        return np.stack([half + u * (half - 2), row + v * (half - 2)], axis=-1)

    def patch(self, index: int) -> tuple[float, float]:
        """Centre of a plain patch: 0 tyre, 1 paint, 2 trim."""
        return self.wheel * (1.5 + index), self.side_height + self.top_height + 0.5 * self.wheel


def layout(body: Body, profile: Profile, scale: float) -> AtlasLayout:
    """The atlas layout for a body at `scale` texels per metre."""
    side_height = int(np.ceil((body.height + 0.12) * scale))
    top_height = int(np.ceil((body.width + 0.1) * scale))
    wheel = max(64, int(0.8 * scale))
    width = max(int(np.ceil(profile.s[-1] * scale)) + 2, 5 * wheel)
    return AtlasLayout(scale, side_height, top_height, wheel, width)


@dataclass(frozen=True)
class Mesh:
    """`vertices` (V, 3) metres, `normals` (V, 3) unit, `uv` (V, 2) texels, `triangles` (T, 3) indices.

    Triangles run anticlockwise seen from outside. `bias` (T,) metres is added to a triangle's distance when
    triangles are sorted: negative ones are drawn later.
    """

    vertices: FloatArray
    normals: FloatArray
    uv: FloatArray
    triangles: IntArray
    bias: FloatArray


def join(meshes: list[Mesh]) -> Mesh:
    """One mesh of several."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]),
        np.concatenate([mesh.bias for mesh in meshes]),
    )


def half_width(body: Body, x: FloatArray) -> FloatArray:
    """Half the car's width at `x`: a superellipse of order 4 that ends at 0.78 of the full width."""
    t = np.clip(np.abs(2 * x / body.length - 1), 0, 1)
    return 0.5 * body.width * (0.78 + 0.22 * (1 - t**4) ** 0.25)


def _section(body: Body, x: float, z_top: float) -> tuple[FloatArray, FloatArray, float]:
    """Side points (y, z) from the sill to the shoulder at one station, and the shoulder's y."""
    belt = float(np.interp(x, [body.cowl[0], body.rear_glass[0]], body.belt))
    sill = body.clearance + 0.07 * abs(2 * x / body.length - 1) ** 6
    roundness = 0.05 if z_top < belt + 0.1 else 0.06
    shoulder = max(z_top - roundness, sill + 0.005)
    waist = min(belt, shoulder)
    z = np.concatenate([np.linspace(sill, waist, 5), np.linspace(waist, shoulder, SIDE_POINTS - 4)[1:]])
    q = (np.minimum(z, belt) - sill) / max(belt - sill, 0.1)
    y = float(half_width(body, np.array(x))) * (1 - 0.24 * (q - 0.55) ** 2)
    y = y - body.tumblehome * np.maximum(z - belt, 0)
    return y, z, float(y[-1])


def _ring(body: Body, x: float, z_top: float, slope: float) -> FloatArray:
    """The cross-section (R, 3) at one station from the left sill over the top to the right sill."""
    y, z, shoulder_y = _section(body, x, z_top)
    across = np.linspace(1, -1, TOP_POINTS)[1:-1]
    top_z = z[-1] + (z_top - z[-1]) * (1 - np.abs(across) ** 2.4)
    ring_y = np.concatenate([y, across * shoulder_y, -y[::-1]])
    ring_z = np.concatenate([z, top_z, z[::-1]])
    near_top = np.clip(1 - (z_top - ring_z) / 0.6, 0, 1)
    half = 0.5 * body.width
    bend = (0.20 if slope > 0 else 0.12) * slope * (ring_y / half) ** 2 * near_top
    return np.stack([x + bend, ring_y, ring_z], axis=-1)


def _grid_triangles(rows: int, columns: int) -> IntArray:
    """Triangles (2 * (rows - 1) * (columns - 1), 3) of a grid of vertices stored row by row."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    lower = np.stack([corner, corner + 1, corner + columns], axis=-1)
    upper = np.stack([corner + 1, corner + columns + 1, corner + columns], axis=-1)
    return np.concatenate([lower, upper])


def smooth_normals(vertices: FloatArray, triangles: IntArray) -> FloatArray:
    """Unit normals (V, 3), the area-weighted mean of the adjacent triangles' normals."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    # Where a section folds onto itself all areas are zero; the normal of a side then points sideways.
    normals[:, 1] += 1e-9 * np.sign(vertices[:, 1])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _loft(body: Body, profile: Profile, atlas: AtlasLayout, count: int) -> Mesh:
    s = profile.stations(count)
    rings = np.stack([_ring(body, *point) for point in zip(*(a.tolist() for a in profile.at(s)), strict=True)])
    columns = rings.shape[1]
    flat = rings.reshape(-1, 3)
    normals = smooth_normals(flat, _grid_triangles(count, columns)).reshape(rings.shape)
    last_left, first_right = SIDE_POINTS, columns - SIDE_POINTS
    side_uv = atlas.side(rings[..., 0], rings[..., 2])
    top_uv = atlas.top(np.broadcast_to(s[:, None], rings.shape[:2]), rings[..., 1])
    parts = []
    for start, stop, uv in ((0, last_left, side_uv), (last_left - 1, first_right + 1, top_uv),
                            (first_right, columns, side_uv)):  # fmt: skip
        part = _grid_triangles(count, stop - start)
        parts.append(Mesh(rings[:, start:stop].reshape(-1, 3), normals[:, start:stop].reshape(-1, 3),
                          uv[:, start:stop].reshape(-1, 2), part, np.zeros(len(part))))  # fmt: skip
    return join(parts)


def _disc(circle: FloatArray, outward: float, uv: FloatArray, bias: float) -> Mesh:
    """A flat disc with the rim `circle` (N, 3), facing `outward` along y; `uv` (N + 1, 2), centre last."""
    index = np.arange(len(circle))
    fan = np.stack([index, np.roll(index, -1), np.full_like(index, len(circle))], -1)
    vertices = np.concatenate([circle, circle.mean(axis=0, keepdims=True)])
    normals = np.tile([0.0, outward, 0.0], (len(vertices), 1))
    return Mesh(vertices, normals, uv, fan[:, ::-1] if outward > 0 else fan, np.full(len(fan), bias))


def _wheel(x: float, y: float, radius: float, atlas: AtlasLayout) -> Mesh:
    """A wheel with its outer disc at `y` and a tread 20 cm wide."""
    angle = np.linspace(0, 2 * np.pi, _WHEEL_SEGMENTS, endpoint=False)
    side = float(np.sign(y))
    circle = np.stack([x + radius * np.cos(angle), np.full_like(angle, y), radius + radius * np.sin(angle)], -1)
    inner = circle - [0.0, side * _WHEEL_WIDTH, 0.0]
    rim = np.concatenate([atlas.disc(np.cos(angle), -np.sin(angle)), atlas.disc(np.zeros(1), np.zeros(1))])
    plain = np.tile(np.array(atlas.patch(0)), (2 * _WHEEL_SEGMENTS, 1))
    index = np.arange(_WHEEL_SEGMENTS)
    following, opposite = np.roll(index, -1), index + _WHEEL_SEGMENTS
    first, second = [index, following, opposite], [following, following + _WHEEL_SEGMENTS, opposite]
    tread = np.concatenate([np.stack(first, -1), np.stack(second, -1)])
    outward = np.tile(np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], -1), (2, 1))
    around = Mesh(
        np.concatenate([circle, inner]),
        outward,
        plain,
        tread if side > 0 else tread[:, ::-1],
        np.full(len(tread), 0.1),
    )
    # The outer disc is drawn after the body's side, in which the arch is only painted.
    return join([_disc(circle, side, rim, -0.35), around, _disc(inner, -side, plain[: len(rim)], 0.1)])


def _box(lower: Point3, upper: Point3, patch: tuple[float, float], bias: float) -> Mesh:
    """An axis-parallel box of one colour, with normals that make its corners appear round."""
    corners = np.array(
        [[x, y, z] for x in (lower[0], upper[0]) for y in (lower[1], upper[1]) for z in (lower[2], upper[2])]
    )
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    normals = corners - corners.mean(0)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(corners, normals, np.tile(np.array(patch), (8, 1)), triangles, np.full(len(triangles), bias))


def _extras(body: Body, atlas: AtlasLayout) -> list[Mesh]:
    """Mirrors, and rails where the body has them."""
    boxes = []
    mirror_x = body.cowl[0] + 0.24 * (body.header[0] - body.cowl[0]) + 0.12
    belt = body.belt[0]
    tall = 0.13 if body.height < 1.9 else 0.26
    for side in (-1.0, 1.0):
        y = 0.94 * side * 0.5 * body.width
        low, high = sorted((y, y + 0.19 * side))
        boxes.append(
            _box((mirror_x, low, belt + 0.03), (mirror_x + 0.12, high, belt + 0.03 + tall), atlas.patch(1), -0.3)
        )
        if body.has_rails:
            rail_y = side * (0.5 * body.width - body.tumblehome * (body.height - belt) - 0.10)
            start, end = body.header[0] + 0.25, body.rear_header[0] - 0.15
            z = min(body.header[1], body.rear_header[1])
            boxes.append(_box((start, rail_y - 0.02, z), (end, rail_y + 0.02, z + 0.075), atlas.patch(2), -0.3))
    return boxes


def build(body: Body, profile: Profile, atlas: AtlasLayout, stations: int = 72) -> Mesh:
    """The whole car in car coordinates, with texture coordinates for `atlas`."""
    parts = [_loft(body, profile, atlas, stations)]
    for x in body.axles:
        y = float(half_width(body, np.array(x))) * 0.985
        parts += [_wheel(x, side * y, body.wheel_radius, atlas) for side in (-1.0, 1.0)]
    return join(parts + _extras(body, atlas))
