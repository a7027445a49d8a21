import numpy as np
import pytest

from stages.sample.renderer import raster

# Corners run anticlockwise on the image, with y pointing down: top left, bottom left, top right.
SCREEN = np.array([[0.0, 0.0, 2.0], [0.0, 8.0, 2.0], [8.0, 0.0, 2.0]])
TRIANGLE = np.array([[0, 1, 2]])
NO_BIAS = np.zeros(1)


def test_a_triangle_fills_its_half_of_the_square() -> None:
    ids = raster.triangle_ids(SCREEN, TRIANGLE, NO_BIAS, (11, 10))
    assert ids.shape == (10, 11)
    assert ids[1, 1] == ids[0, 6] == ids[6, 0] == 0
    assert ids[7, 7] == ids[9, 0] == ids[0, 9] == -1


def test_the_inner_side_is_not_drawn() -> None:
    assert (raster.triangle_ids(SCREEN, TRIANGLE[:, ::-1], NO_BIAS, (9, 9)) == -1).all()


def test_a_triangle_that_reaches_behind_the_camera_is_not_drawn() -> None:
    behind = SCREEN.copy()
    behind[1, 2] = -1.0
    assert (raster.triangle_ids(behind, TRIANGLE, NO_BIAS, (9, 9)) == -1).all()


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearer_triangle_is_visible_in_any_order(order: list[int]) -> None:
    near = SCREEN - [0.0, 0.0, 1.0]
    triangles = np.array([[0, 1, 2], [3, 4, 5]])[order]
    ids = raster.triangle_ids(np.concatenate([SCREEN, near]), triangles, np.zeros(2), (8, 8))
    assert ids[1, 1] == order.index(1)


def test_a_negative_bias_draws_a_triangle_in_front() -> None:
    near = SCREEN - [0.0, 0.0, 1.0]
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    ids = raster.triangle_ids(np.concatenate([SCREEN, near]), triangles, np.array([-1.5, 0.0]), (8, 8))
    assert ids[1, 1] == 0


def test_without_triangles_the_buffer_is_empty() -> None:
    ids = raster.triangle_ids(np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros(0), (3, 2))
    assert ids.tolist() == [[-1, -1, -1], [-1, -1, -1]]


def test_weights_at_equal_depth_are_linear() -> None:
    weights = raster.barycentrics(raster.planes(SCREEN, TRIANGLE), np.array([0]), np.array([[2.0, 4.0]]))
    np.testing.assert_allclose(weights, [[0.25, 0.5, 0.25]], atol=1e-6)


def test_weights_are_perspective_correct() -> None:
    # Half way between depths 1 and 3 on the screen, the weight of the near corner is 3/4: (1/1) / (1/1 + 1/3).
    slanted = np.array([[0.0, 0.0, 1.0], [0.0, 8.0, 5.0], [8.0, 0.0, 3.0]])
    weights = raster.barycentrics(raster.planes(slanted, TRIANGLE), np.array([0]), np.array([[4.0, 0.0]]))
    np.testing.assert_allclose(weights, [[0.75, 0.0, 0.25]], atol=1e-6)


def test_weights_are_not_extrapolated_beyond_the_edge() -> None:
    weights = raster.barycentrics(raster.planes(SCREEN, TRIANGLE), np.array([0]), np.array([[-1.0, 4.0]]))
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(), 1, atol=1e-6)


def test_interpolate_mixes_vertex_values() -> None:
    values = np.array([[0.0, 10.0], [4.0, 20.0], [8.0, 30.0]], np.float32)
    mixed = raster.interpolate(values, np.array([[2, 1, 0]]), np.array([[0.5, 0.25, 0.25]], np.float32))
    np.testing.assert_allclose(mixed, [[5.0, 22.5]])
