import numpy as np
import pytest

from stages.images import boxes


def box(*corners):
    return np.array(corners, np.float32)


def test_sizes_and_areas_are_never_below_zero():
    width, height = boxes.size_wh(np.stack([box(1, 2, 4, 9), box(4, 9, 1, 2)]))
    assert width.tolist() == [3, 0] and height.tolist() == [7, 0]
    assert boxes.area(np.stack([box(1, 2, 4, 9), box(4, 9, 1, 2)])).tolist() == [21, 0]


def test_clip_cuts_each_side_at_its_own_edge_and_leaves_the_input():
    given = np.stack([box(-5, -6, 700, 500), box(1.5, 2, 3, 4), box(800, -20, 900, -10)])
    before = given.copy()
    clipped = boxes.clip(given, 640, 480)
    assert clipped.tolist() == [[0, 0, 640, 480], [1.5, 2, 3, 4], [640, 0, 640, 0]] and clipped.dtype == np.float32
    np.testing.assert_array_equal(given, before)


def test_expand_uses_the_longer_side_on_every_side():
    given = np.stack([box(10, 20, 30, 25), box(0, 0, 4, 10)])
    before = given.copy()
    expanded = boxes.expand(given, 0.1)
    np.testing.assert_allclose(expanded, [[8, 18, 32, 27], [-1, -1, 5, 11]])
    np.testing.assert_allclose(boxes.expand(given[0], 0.1), expanded[0])
    np.testing.assert_array_equal(boxes.expand(given, 0), given)
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(
    ("corners", "size_wh", "expected"),
    [
        ((1.2, 2.0, 3.0, 4.01), (10, 20), (1, 2, 3, 5)),
        ((-3.5, -0.1, 99, 99), (10, 20), (0, 0, 10, 20)),
        ((2.3, 4.6, 2.4, 4.7), (10, 20), (2, 4, 3, 5)),
        ((3, 3, 3, 3), (10, 20), (3, 3, 4, 4)),
        ((10, 20, 10, 20), (10, 20), (9, 19, 10, 20)),
        ((-9, -9, -5, -5), (10, 20), (0, 0, 1, 1)),
        ((50, 5, 60, 6), (10, 20), (9, 5, 10, 6)),
        ((0, 0, 1, 500), (1, 500), (0, 0, 1, 500)),
        ((5, 7, 2, 3), (10, 20), (5, 7, 6, 8)),
    ],
)
def test_the_pixels_that_a_box_touches(corners, size_wh, expected):
    window = boxes.to_pixels(box(*corners), *size_wh)
    assert window == expected and all(type(value) is int for value in window)
