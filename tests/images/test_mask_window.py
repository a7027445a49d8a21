"""The part of a crop around its mask, with windows worked out by hand."""

import numpy as np
import pytest

from stages.images.mask_window import WHOLE, Part, mask_window, part_shown


def mask(rows, columns, shape=(40, 100), value=255):
    """A mask of 100 x 40 pixels that is `value` in some rows and columns."""
    made = np.zeros(shape, np.uint8)
    made[rows, columns] = value
    return made


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (0, (30, 12, 50, 20)),
        (0.1, (28, 10, 52, 22)),  # of the longer side, 20 pixels, on every side
        (0.07, (28, 10, 52, 22)),  # 1.4 pixels: whole pixels outwards
        (1, (10, 0, 70, 40)),  # as far as the crop goes
    ],
)
def test_the_window_holds_the_mask_and_a_margin_of_its_longer_side(margin, expected):
    assert mask_window(mask(np.s_[12:20], np.s_[30:50]), margin) == expected


def test_pixels_that_are_more_background_than_car_do_not_count():
    soft = mask(np.s_[12:20], np.s_[30:50], value=128) + mask(np.s_[0:2], np.s_[90:], value=127)
    assert mask_window(soft, 0) == (30, 12, 50, 20)


@pytest.mark.parametrize("value", [0, 127])
def test_without_such_a_pixel_it_is_the_whole_crop(value):
    assert mask_window(np.full((40, 100), value, np.uint8), 0.1) == (0, 0, 100, 40)


def test_a_single_pixel_in_the_corner_is_a_window():
    assert mask_window(mask(39, 99), 0) == (99, 39, 100, 40)


def test_the_part_is_in_shares_of_the_crop_and_the_whole_without_a_mask_or_a_margin():
    one = mask(np.s_[12:20], np.s_[30:50])
    assert part_shown(one, 0.1) == pytest.approx((0.28, 0.25, 0.52, 0.55))
    assert part_shown(None, 0.1) == part_shown(one, None) == WHOLE == (0, 0, 1, 1)


def test_a_part_of_a_window_is_in_the_pixels_around_the_window():
    assert Part(0.25, 0.5, 0.75, 1).of((100, 10, 180, 30)) == (120, 20, 160, 30)
    assert WHOLE.of((3, 4, 9, 5)) == (3, 4, 9, 5)
    assert Part(0.999, 0, 1, 0.001).of((0, 0, 10, 10)) == (9, 0, 10, 1)  # one pixel or more
