import numpy as np
import pytest

from stages.images import letterbox
from stages.images.letterbox import Placement


@pytest.mark.parametrize(
    ("width", "height", "size_wh", "expected"),
    [
        (200, 100, (100, 100), (100, 50, 0, 25)),
        (100, 200, (100, 100), (50, 100, 25, 0)),
        (3, 2, (8, 8), (8, 5, 0, 1)),
        (2, 3, (8, 8), (5, 8, 1, 0)),
        (1, 500, (224, 224), (1, 224, 111, 0)),
        (500, 1, (224, 224), (224, 1, 0, 111)),
        (640, 480, (512, 512), (512, 384, 0, 64)),
        (7, 7, (7, 7), (7, 7, 0, 0)),
        (1, 1, (5, 3), (3, 3, 1, 0)),
    ],
)
def test_the_place_by_hand_with_the_odd_pixel_right_and_below(width, height, size_wh, expected):
    assert letterbox.place(width, height, size_wh) == Placement(*expected)


def test_a_place_lies_inside_touches_two_sides_and_keeps_the_aspect_ratio():
    rng = np.random.default_rng(0)
    for width, height, size in rng.integers(1, 3000, (500, 3)).tolist():
        place = letterbox.place(width, height, (size, size))
        assert 1 <= place.width <= size and 1 <= place.height <= size and size in (place.width, place.height)
        assert 0 <= size - place.width - 2 * place.left <= 1 and 0 <= size - place.height - 2 * place.top <= 1
        scale = size / max(width, height)
        assert abs(place.width - width * scale) <= 1 and abs(place.height - height * scale) <= 1


def test_a_wide_image_gets_bars_above_and_below(corners):
    image = corners(200, 100)
    before = image.copy()
    padded = letterbox.letterbox(image, (100, 100), (1, 2, 3))
    expected = np.full((100, 100, 3), (1, 2, 3), np.uint8)
    expected[25:75] = corners(100, 50)
    np.testing.assert_array_equal(padded, expected)
    np.testing.assert_array_equal(image, before)


def test_a_tall_grey_image_gets_bars_left_and_right():
    image = np.array([[10], [20], [30], [40]], np.uint8).repeat(2, axis=1)  # 4 rows, 2 columns
    padded = letterbox.letterbox(image, (4, 4), 7)
    assert padded.tolist() == [[7, 10, 10, 7], [7, 20, 20, 7], [7, 30, 30, 7], [7, 40, 40, 7]]


@pytest.mark.parametrize(("width", "height"), [(1, 500), (500, 1), (1, 1), (5, 3), (301, 299)])
def test_odd_sizes_come_out_square_with_every_corner_in_its_place(corners, width, height):
    image = corners(width, height)
    padded = letterbox.letterbox(image, (64, 64), (9, 9, 9))
    place = letterbox.place(width, height, (64, 64))
    inner = padded[place.top : place.top + place.height, place.left : place.left + place.width]
    assert padded.shape == (64, 64, 3) and padded.dtype == np.uint8
    assert np.abs(inner[0, 0].astype(int) - image[0, 0]).max() <= 1
    assert np.abs(inner[-1, -1].astype(int) - image[-1, -1]).max() <= 1
    outside = np.ones((64, 64), bool)
    outside[place.top : place.top + place.height, place.left : place.left + place.width] = False
    assert (padded[outside] == 9).all()


def test_shrinking_takes_the_mean_of_what_it_covers():
    image = np.array([[0, 100, 40, 60], [100, 200, 50, 50]], np.uint8)
    assert letterbox.resize(image, 2, 1).tolist() == [[100, 50]]


def test_the_same_size_changes_nothing(corners):
    np.testing.assert_array_equal(letterbox.resize(corners(7, 5), 7, 5), corners(7, 5))
    np.testing.assert_array_equal(letterbox.letterbox(corners(9, 9), (9, 9), 0), corners(9, 9))


def test_a_warp_puts_pixels_at_their_corners_without_averaging():
    row = np.array([[10, 200, 30, 40]], np.uint8)
    # Half the size: column 0 of the input is column 0 of the image, column 1 is column 2; one row of the four.
    warped = letterbox.warp(np.repeat(row, 4, axis=0), (2, 2), 7)
    assert warped.tolist() == [[10, 30], [10, 30]]


def test_a_warped_place_is_not_rounded():
    assert letterbox.place_unrounded(640, 427, (512, 512)) == pytest.approx((512, 341.6, 0, 85.2))
    assert letterbox.place_unrounded(1, 4, (8, 8)) == (2, 8, 3, 0)


def test_a_warped_image_lies_in_the_middle_of_the_fill(corners):
    image = corners(8, 4)
    before = image.copy()
    warped = letterbox.warp(image, (16, 16), 9)
    assert warped.shape == (16, 16, 3) and (warped[:3] == 9).all() and (warped[12:] == 9).all()
    assert warped[5, 2].tolist() == [255, 0, 0] and warped[5, 12].tolist() == [0, 255, 0]
    assert warped[9, 2].tolist() == [0, 0, 255] and warped[9, 12].tolist() == [255, 255, 0]
    np.testing.assert_array_equal(image, before)


def test_a_image_longer_than_opencv_warps_is_halved_first():
    warped = letterbox.warp(np.full((2, 40_000, 3), 90, np.uint8), (16, 16), 0)
    assert warped.shape == (16, 16, 3) and warped.max() <= 90


def test_a_image_of_reduced_scale_lies_where_the_whole_one_would(corners):
    # 1001 x 749 in 64 x 64: 47.89 rows, so 48; its eighth, rounded up, 126 x 94: 47.75, also 48. 1001 x 743: 47.50
    # becomes 48, its eighth, 126 x 93, 47.24 becomes 47.
    assert letterbox.place(1001, 743, (64, 64)).height == 48 and letterbox.place(126, 93, (64, 64)).height == 47
    padded = letterbox.letterbox(corners(126, 93), (64, 64), 9, (1001, 743))
    assert (padded[:8] == 9).all() and (padded[56:] == 9).all() and (padded[8:56] != 9).any(axis=(1, 2)).all()


def test_a_warped_image_of_reduced_scale_lies_where_the_whole_one_would():
    ramp = np.add.outer(np.arange(0, 100, 0.5), np.arange(0, 150, 0.5))[..., None].repeat(3, axis=2)
    whole = ramp.astype(np.uint8)  # 300 x 200, one grey in two pixels
    reduced = letterbox.resize(whole, 75, 50)
    expected = letterbox.warp(whole, (32, 32), 9).astype(int)
    warped = letterbox.warp(reduced, (32, 32), 9, (300, 200)).astype(int)
    assert np.abs(warped - expected)[6:26, 1:31].max() <= 1
    np.testing.assert_array_equal(letterbox.warp(whole, (32, 32), 9, (300, 200)), expected)
