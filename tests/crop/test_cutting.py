from pathlib import Path

import numpy as np
import pytest

from stages.core import settings
from stages.crop import cutting
from stages.crop.settings import CropSettings
from stages.images import images, letterbox

RULE = settings.read(Path(__file__).parents[2] / "params.yaml", "crop", CropSettings)


@pytest.mark.parametrize(("size_wh", "box"), [((40, 30), (25, 20, 35, 30)), ((40, 30), None), ((500, 1), None)])
def test_the_cut_is_that_part_of_the_photo_as_it_is(corners, size_wh, box):
    content = images.encode(corners(*size_wh), ".png")
    crop = cutting.crop_image(content, None if box is None else np.array(box, np.float64), RULE.replace(margin=0.0))
    x_min, y_min, x_max, y_max = box or (0, 0, *size_wh)
    np.testing.assert_array_equal(crop, corners(*size_wh)[y_min:y_max, x_min:x_max])


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(
    ("box", "size_wh", "quarters"),
    [
        (None, (100, 75), (50, 38)),
        ((700, 400, 1100, 700), (100, 75), (25, 50)),  # the middle, at 800, 600, lies at 100 / 4, 200 / 4 of it
        ((700, 500, 799, 599), (99, 99), (99, 99)),  # no shrinking: 99 pixels
        ((0, 599, 1600, 601), (100, 1), (50, 1)),
    ],
)
def test_a_larger_crop_is_shrunk_to_max_side_and_shows_the_same(corners, suffix, box, size_wh, quarters):
    content = images.encode(corners(1600, 1200), suffix)
    rule = RULE.replace(margin=0.0, max_side=100)
    crop = cutting.crop_image(content, None if box is None else np.array(box, np.float64), rule).astype(int)
    assert crop.shape == (size_wh[1], size_wh[0], 3)
    x, y = quarters
    np.testing.assert_allclose(crop[: y - 2, : x - 2], np.full_like(crop[: y - 2, : x - 2], (255, 0, 0)), atol=4)
    np.testing.assert_allclose(crop[y + 2 :, : x - 2], np.full_like(crop[y + 2 :, : x - 2], (0, 0, 255)), atol=4)
    np.testing.assert_allclose(crop[: y - 2, x + 2 :], np.full_like(crop[: y - 2, x + 2 :], (0, 255, 0)), atol=4)
    np.testing.assert_allclose(crop[y + 2 :, x + 2 :], np.full_like(crop[y + 2 :, x + 2 :], (255, 255, 0)), atol=4)


def test_a_crop_from_a_photo_of_reduced_scale_is_that_of_the_whole_within_half_a_pixel():
    smooth = letterbox.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8), 3001, 2003)
    content = images.encode(smooth, ".jpg")
    rule = RULE.replace(margin=0.0, max_side=256)
    for box in [(0, 0, 3001, 2003), (301, 203, 2805, 1807), (999, 5, 2999, 1999)]:
        crop = cutting.crop_image(content, np.array(box, np.float64), rule).astype(float)
        whole = images.decode(content)[box[1] : box[3], box[0] : box[2]]
        expected = letterbox.resize(whole, crop.shape[1], crop.shape[0]).astype(float)
        steepest = max(np.abs(np.diff(expected, axis=0)).max(), np.abs(np.diff(expected, axis=1)).max())
        assert np.abs(crop - expected).max() <= steepest + 2  # half a pixel each way
