import numpy as np
import pytest

from stages.sample.renderer.camera import Camera, look_at

EYE = np.array([-10.0, 0.0, 2.0])
LEVEL = Camera(EYE, look_at(EYE, np.array([0.0, 0.0, 2.0]), 0.0), 500.0, (320.0, 200.0))


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.0, 0.0, 2.0), (320.0, 200.0, 10.0)),
        ((0.0, -1.0, 2.0), (370.0, 200.0, 10.0)),
        ((0.0, 0.0, 3.0), (320.0, 150.0, 10.0)),
        ((15.0, 2.0, 0.0), (280.0, 240.0, 25.0)),
    ],
)
def test_project_known_points(point: tuple[float, ...], expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(LEVEL.project(np.array([point])), [expected], atol=1e-9)


def test_points_behind_the_camera_keep_a_negative_depth() -> None:
    assert LEVEL.project(np.array([-13.0, 0.0, 2.0]))[2] == pytest.approx(-3.0)


def test_a_ray_passes_through_its_projected_point() -> None:
    point = np.array([3.0, 1.5, 0.4])
    x, y, depth = LEVEL.project(point)
    np.testing.assert_allclose(EYE + depth * LEVEL.rays(np.array([x, y])), point, atol=1e-9)


def test_a_crop_shifts_and_enlarges_the_projection() -> None:
    point = np.array([0.0, -1.0, 3.0])
    np.testing.assert_allclose(LEVEL.project(point)[:2], [370.0, 150.0])
    np.testing.assert_allclose(LEVEL.moved((300, 100), 2.0).project(point)[:2], [140.0, 100.0])


def test_roll_rotates_the_image_about_its_centre() -> None:
    rolled = Camera(EYE, look_at(EYE, np.array([0.0, 0.0, 2.0]), np.pi / 2), 500.0, (320.0, 200.0))
    np.testing.assert_allclose(rolled.project(np.array([0.0, 0.0, 3.0]))[:2], [270.0, 200.0], atol=1e-9)


def test_rotation_is_orthonormal() -> None:
    rotation = look_at(np.array([-7.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.5]), 0.3)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_the_ray_grid_has_the_ray_of_every_pixel() -> None:
    grid = LEVEL.ray_grid((5, 3))
    assert grid.shape == (3, 5, 3)
    np.testing.assert_allclose(grid[2, 4], LEVEL.rays(np.array([4.5, 2.5])), atol=1e-6)
