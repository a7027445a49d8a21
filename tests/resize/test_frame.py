import numpy as np
import pytest

from stages.images import letterbox
from stages.resize import frame

FILL = (1, 2, 3)
COLUMNS = np.arange(1, 5, dtype=np.uint8)


def strip(n=4):
    """`(1, 4, 3)`: columns 1 2 3 4, of which the first is bright."""
    return np.repeat(COLUMNS[None, :n, None], 3, axis=2)


def test_padding_is_the_letterbox(corners):
    picture = corners(13, 7)
    np.testing.assert_array_equal(
        frame.fit(picture, (20, 16), "pad", FILL), letterbox.letterbox(picture, (20, 16), FILL)
    )


def test_squashing_fills_the_frame_and_keeps_the_corners(corners):
    found = frame.fit(corners(32, 8), (20, 16), "squash", FILL)
    np.testing.assert_array_equal(found, corners(20, 16))


def test_reflection_mirrors_the_rows_beside_the_edges_outwards():
    picture = np.zeros((2, 4, 3), np.uint8)
    picture[0], picture[1] = 10, 20
    found = frame.fit(picture, (4, 4), "reflect", FILL)
    assert found[:, 0, 0].tolist() == [10, 10, 20, 20]
    tall = frame.fit(picture.transpose(1, 0, 2), (4, 4), "reflect", FILL)
    assert tall[0, :, 0].tolist() == [10, 10, 20, 20]
    wide = frame.fit(picture, (8, 2), "reflect", FILL)
    np.testing.assert_array_equal(wide, np.repeat(picture[:, :1], 8, axis=1))


def test_an_edge_that_is_too_near_is_mirrored_again():
    found = frame.fit(strip(), (4, 4), "reflect", FILL)
    np.testing.assert_array_equal(found, np.repeat(strip(), 4, axis=0))


@pytest.mark.parametrize("how", ["pad", "reflect", "squash"])
@pytest.mark.parametrize("size_wh", [(1, 500), (500, 1), (1, 1), (7, 5), (900, 901)])
def test_any_picture_fills_the_frame_and_stays_as_it_was(corners, how, size_wh):
    picture = corners(*size_wh)
    before = picture.copy()
    found = frame.fit(picture, (48, 32), how, FILL)
    assert found.shape == (32, 48, 3) and found.dtype == np.uint8
    np.testing.assert_array_equal(picture, before)


def test_where_the_picture_lies():
    assert frame.place(32, 16, (8, 9), "squash") == (8, 9, 0, 0)
    assert frame.place(32, 16, (8, 9), "pad") == frame.place(32, 16, (8, 9), "reflect") == (8, 4, 0, 2)
    assert frame.place(16, 32, (20, 8), "pad") == (4, 8, 8, 0)
