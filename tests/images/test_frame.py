import numpy as np
import pytest

from stages.images import frame, letterbox

FILL = (1, 2, 3)
COLUMNS = np.arange(1, 5, dtype=np.uint8)


def strip(n=4):
    """`(1, 4, 3)`: columns 1 2 3 4, of which the first is bright."""
    return np.repeat(COLUMNS[None, :n, None], 3, axis=2)


def test_padding_is_the_letterbox(corners):
    image = corners(13, 7)
    np.testing.assert_array_equal(frame.fit(image, (20, 16), "pad", FILL), letterbox.letterbox(image, (20, 16), FILL))


def test_squashing_fills_the_frame_and_keeps_the_corners(corners):
    framed = frame.fit(corners(32, 8), (20, 16), "squash", FILL)
    np.testing.assert_array_equal(framed, corners(20, 16))


def test_reflection_mirrors_the_rows_beside_the_edges_outwards():
    image = np.zeros((2, 4, 3), np.uint8)
    image[0], image[1] = 10, 20
    framed = frame.fit(image, (4, 4), "reflect", FILL)
    assert framed[:, 0, 0].tolist() == [10, 10, 20, 20]
    tall = frame.fit(image.transpose(1, 0, 2), (4, 4), "reflect", FILL)
    assert tall[0, :, 0].tolist() == [10, 10, 20, 20]
    wide = frame.fit(image, (8, 2), "reflect", FILL)
    np.testing.assert_array_equal(wide, np.repeat(image[:, :1], 8, axis=1))


def test_an_edge_that_is_too_near_is_mirrored_again():
    framed = frame.fit(strip(), (4, 4), "reflect", FILL)
    np.testing.assert_array_equal(framed, np.repeat(strip(), 4, axis=0))


@pytest.mark.parametrize("how", ["pad", "reflect", "squash"])
@pytest.mark.parametrize("size_wh", [(1, 500), (500, 1), (1, 1), (7, 5), (900, 901)])
def test_any_image_fills_the_frame_and_stays_as_it_was(corners, how, size_wh):
    image = corners(*size_wh)
    before = image.copy()
    framed = frame.fit(image, (48, 32), how, FILL)
    assert framed.shape == (32, 48, 3) and framed.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def test_where_the_image_lies():
    assert frame.place(32, 16, (8, 9), "squash") == (8, 9, 0, 0)
    assert frame.place(32, 16, (8, 9), "pad") == frame.place(32, 16, (8, 9), "reflect") == (8, 4, 0, 2)
    assert frame.place(16, 32, (20, 8), "pad") == (4, 8, 8, 0)
