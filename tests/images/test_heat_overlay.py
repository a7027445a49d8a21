"""Heat maps back on the image that a model input was made from."""

import numpy as np
import pytest

from stages.images import frame, heat_overlay


def spot(frame_wh, row, column):
    """Shares of a grid as fine as the frame, all in one pixel."""
    shares = np.zeros(frame_wh[::-1])
    shares[row, column] = 1
    return shares


def test_a_padded_frame_is_undone():
    """An image of 8 x 4 in a frame of 16 x 10 is drawn twice as large, with one row of padding above and below."""
    assert frame.place(8, 4, (16, 10), "pad") == (16, 8, 0, 1)
    found = heat_overlay.to_image(spot((16, 10), 1 + 2 * 3, 2 * 1), (16, 10), "pad", (8, 4))
    assert found.shape == (4, 8) and found.sum() == pytest.approx(1)
    assert found[3, 1] == pytest.approx(1)


def test_mass_on_padding_is_dropped_and_the_rest_has_the_sum_1():
    shares = spot((16, 10), 0, 3) * 0.6 + spot((16, 10), 5, 3) * 0.4
    found = heat_overlay.to_image(shares, (16, 10), "pad", (8, 4))
    assert found[2, 1] == pytest.approx(1)
    only_padding = heat_overlay.to_image(spot((16, 10), 9, 3), (16, 10), "pad", (8, 4))
    assert only_padding.shape == (4, 8) and not only_padding.any()


def test_mass_on_mirrored_edges_goes_back_to_what_they_show():
    """The image fills rows 1 to 8 of the frame; row 0 mirrors row 1, row 9 mirrors row 8."""
    for row, expected in ((0, 0), (9, 3)):
        found = heat_overlay.to_image(spot((16, 10), row, 5), (16, 10), "reflect", (8, 4))
        assert found[expected, 2] == pytest.approx(1)


def test_the_mirror_is_that_of_the_model_input():
    """A narrow image is mirrored repeatedly; each pixel of the frame shows the pixel that its mass goes to."""
    image = np.repeat(np.arange(0, 240, 60, dtype=np.uint8)[None, :, None], 6, axis=0).repeat(3, axis=2)
    made = frame.fit(image, (21, 6), "reflect", (0, 0, 0))
    for column in range(21):
        found = heat_overlay.to_image(spot((21, 6), 2, column), (21, 6), "reflect", (4, 6))
        assert image[2, found[2].argmax(), 0] == made[2, column, 0] and found.max() == pytest.approx(1)


def test_a_squashed_frame_is_stretched_back():
    found = heat_overlay.to_image(spot((4, 4), 1, 3), (4, 4), "squash", (16, 4))
    assert found.sum() == pytest.approx(1) and found[1, 12:].sum() > 0.6 and found[0].sum() == 0


@pytest.mark.parametrize("how", ["pad", "reflect", "squash"])
def test_a_coarse_grid_is_even_where_it_is_even_and_zeros_stay(how):
    found = heat_overlay.to_image(np.full((2, 3), 1 / 6), (30, 20), how, (12, 8))
    np.testing.assert_allclose(found, 1 / 96)
    assert not heat_overlay.to_image(np.zeros((2, 3)), (30, 20), how, (12, 8)).any()


def test_a_window_is_pasted_into_the_photo():
    found = heat_overlay.paste(np.array([[0.25, 0.75]]), (1, 2, 3, 3), (5, 4))
    assert found.shape == (4, 5) and found[2].tolist() == [0, 0.25, 0.75, 0, 0] and found.sum() == 1


def test_the_drawing_is_grey_without_heat_and_brightest_where_it_is_highest(corners):
    image = corners(9, 7)
    before = image.copy()
    grey = heat_overlay.draw(image, np.zeros((7, 9)))
    assert (grey == grey[..., :1]).all() and len(np.unique(grey)) > 2
    hot = heat_overlay.draw(image, spot((9, 7), 6, 1))
    assert (hot != grey).any(axis=2).nonzero() == (np.array([6]), np.array([1]))
    assert hot[6, 1, 0] > hot[6, 1, 2]  # red and green, little blue
    np.testing.assert_array_equal(image, before)


def test_the_map_of_a_window_lies_in_the_window():
    """A window of 8 x 4 stretched to 16 x 4; its last column but one is column 5 + 6 of the image."""
    found = heat_overlay.on_window(
        spot((16, 4), 1, 12) + spot((16, 4), 1, 13), (16, 4), "squash", (5, 2, 13, 6), (20, 9)
    )
    assert found.shape == (9, 20) and found.sum() == pytest.approx(1)
    assert found[3, 11] == pytest.approx(1)
