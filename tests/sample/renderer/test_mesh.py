from collections import Counter

import numpy as np
import pytest

from stages.sample.renderer import bodies, mesh, profile
from stages.sample.renderer.bodies import BODIES

NAMES = sorted(BODIES)


def build(name: str) -> mesh.Mesh:
    body = BODIES[name]
    curve = profile.trace(body)
    return mesh.build(body, curve, mesh.layout(body, curve, 60.0), stations=60)


@pytest.mark.parametrize("name", NAMES)
def test_a_car_has_its_length_and_height_and_stands_on_the_ground(name: str) -> None:
    body, vertices = BODIES[name], build(name).vertices
    assert np.ptp(vertices[:, 0]) == pytest.approx(body.length, abs=0.03)
    assert vertices[:, 2].max() == pytest.approx(body.height, abs=0.06)
    assert vertices[:, 2].min() == pytest.approx(0.0, abs=1e-9)
    assert np.abs(vertices[:, 1]).max() < 0.5 * body.width + 0.17


@pytest.mark.parametrize("name", NAMES)
def test_the_two_halves_mirror_each_other(name: str) -> None:
    vertices = np.round(build(name).vertices, 6) + 0.0
    mirrored = vertices * [1.0, -1.0, 1.0] + 0.0
    assert {tuple(v) for v in vertices.tolist()} == {tuple(v) for v in mirrored.tolist()}


@pytest.mark.parametrize("name", NAMES)
def test_normals_are_unit_and_agree_with_the_triangles(name: str) -> None:
    shape = build(name)
    np.testing.assert_allclose(np.linalg.norm(shape.normals, axis=1), 1.0, atol=1e-6)
    a, b, c = (shape.vertices[shape.triangles[:, corner]] for corner in range(3))
    faces = np.cross(b - a, c - a)
    agrees = (faces * shape.normals[shape.triangles].mean(axis=1)).sum(axis=1) > 0
    area = np.linalg.norm(faces, axis=1)
    assert area[agrees].sum() / area.sum() > 0.995


@pytest.mark.parametrize("name", NAMES)
def test_the_body_is_open_at_the_bottom_only(name: str) -> None:
    shape, body = build(name), BODIES[name]
    _, welded = np.unique(np.round(shape.vertices, 7), axis=0, return_inverse=True)
    edges: Counter[tuple[int, int]] = Counter()
    ends: dict[tuple[int, int], int] = {}
    for triangle in shape.triangles.tolist():
        for first, second in zip(triangle, triangle[1:] + triangle[:1], strict=True):
            edge = tuple(sorted((int(welded[first]), int(welded[second]))))
            if edge[0] != edge[1]:
                edges[edge[0], edge[1]] += 1
                ends[edge[0], edge[1]] = first
    free = [shape.vertices[ends[edge]] for edge, count in edges.items() if count == 1]
    is_wheel = [min(abs(point[0] - x) for x in body.axles) <= body.wheel_radius + 1e-6 for point in free]
    heights = [point[2] for point, wheel in zip(free, is_wheel, strict=True) if not wheel]
    assert heights
    assert max(heights) < body.clearance + 0.15


def test_body_types_differ_in_their_proportions() -> None:
    length = {name: BODIES[name].length for name in NAMES}
    assert length["compact"] < length["hatchback"] < length["sedan"] < length["limousine"]
    roof = {name: BODIES[name].rear_header[0] - BODIES[name].header[0] for name in NAMES}
    assert roof["coupe"] < roof["sedan"] < roof["wagon"] < roof["limousine"]
    assert BODIES["coupe"].height < BODIES["sedan"].height < BODIES["suv"].height < BODIES["van"].height
    assert len(BODIES["van"].windows) < len(BODIES["compact"].windows) < len(BODIES["limousine"].windows)


def test_a_varied_body_is_similar_and_depends_on_the_seed_only() -> None:
    body = BODIES["sedan"]
    first, second = (bodies.vary(body, np.random.default_rng(5)) for _ in range(2))
    assert first == second != body
    assert abs(first.length / body.length - 1) <= 0.07
    assert body is BODIES["sedan"]


def test_the_profile_is_queried_by_height_and_by_length() -> None:
    body = BODIES["wagon"]
    curve = profile.trace(body)
    _, z, _ = curve.at(np.array([curve.front_s(0.6), curve.rear_s(0.8)]))
    np.testing.assert_allclose(z, [0.6, 0.8], atol=0.01)
    stations = curve.stations(50)
    assert (np.diff(stations) > 0).all()
    np.testing.assert_allclose([stations[0], stations[-1]], [curve.s[0], curve.s[-1]])
    heights = curve.heights(np.array([-0.5, 3.0, body.length + 0.5]))
    assert heights[0] == heights[2] == -1.0
    assert heights[1] == pytest.approx(body.height, abs=0.05)


def test_parts_of_the_atlas_do_not_overlap() -> None:
    body = BODIES["suv"]
    curve = profile.trace(body)
    atlas = mesh.layout(body, curve, 100.0)
    side = atlas.side(np.array([0.0, body.length]), np.array([0.0, body.height]))
    top = atlas.top(np.array([0.0, curve.s[-1]]), np.array([-0.5, 0.5]) * body.width)
    disc = atlas.disc(np.array([-1.0, 1.0]), np.array([-1.0, 1.0]))
    assert 0 <= side[:, 1].min() <= side[:, 1].max() < top[:, 1].min()
    assert top[:, 1].max() < disc[:, 1].min() <= disc[:, 1].max() < atlas.height
    assert max(side[:, 0].max(), top[:, 0].max(), disc[:, 0].max()) < atlas.width
    assert atlas.patch(0)[0] < atlas.patch(1)[0] < atlas.patch(2)[0] < atlas.width
