import numpy as np
import pytest

from stages.imaging import segmentation
from stages.imaging.networks import SEGMENTERS, Segmenter
from stages.imaging.runtime import RuntimeParams
from stages.imaging.segmentation import SegmentParams
from stages.records.params import ParamError

SPEC = Segmenter(file="x.onnx", size=4, output="map", mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
SETTINGS = SegmentParams("u2netp", 0.15, 0.95, RuntimeParams(2, "auto", "f32"))


def test_a_crop_is_squeezed_and_normalised_channel_by_channel(corners):
    crop = corners(8, 4)  # red, green, blue, yellow; the brightest value is 255
    before = crop.copy()
    found = segmentation.prepare(crop, SPEC)
    assert found.shape == (3, 4, 4) and found.dtype == np.float32
    assert found[:, 0, 0].tolist() == [1, -1, 0]  # red: (1 - 0.5) / 0.5, (0 - 0.25) / 0.25, 0
    assert found[:, 0, 3].tolist() == [-1, 3, 0] and found[:, 3, 0].tolist() == [-1, -1, 1]
    np.testing.assert_array_equal(crop, before)


def test_the_brightest_value_counts_as_one_and_black_stays_black():
    dark = np.zeros((4, 4, 3), np.uint8)
    dark[0, 0, 0] = 100
    assert segmentation.prepare(dark, SPEC)[:, 0, 0].tolist() == [1, -1, 0]
    assert segmentation.prepare(np.zeros((4, 4, 3), np.uint8), SPEC)[:, 0, 0].tolist() == [-1, -1, 0]


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (1, 1)])
def test_thin_crops_can_be_prepared(corners, size):
    assert np.isfinite(segmentation.prepare(corners(*size), SEGMENTERS["u2netp"])).all()


def test_each_map_is_stretched_by_itself_and_brought_to_its_crop():
    maps = np.zeros((2, 1, 4, 4), np.float32)
    maps[0, 0, :, :2], maps[0, 0, :, 2:] = 0.2, 0.6  # left low, right high
    maps[1, 0, :2], maps[1, 0, 2:] = 9, -1  # top high, below low
    before = maps.copy()
    first, second = segmentation.segment(np.zeros((2, 3, 4, 4), np.float32), [(8, 2), (3, 16)], lambda _: [maps])
    assert first.shape == (2, 8) and second.shape == (16, 3) and first.dtype == np.uint8
    assert first[0].tolist() == [0, 0, 0, 64, 191, 255, 255, 255]
    assert second[[0, 5, 10, 15], 1].tolist() == [255, 255, 0, 0]
    np.testing.assert_array_equal(maps, before)


def test_a_map_without_any_difference_is_an_empty_mask():
    (mask,) = segmentation.segment(np.zeros((1, 3, 4, 4)), [(5, 3)], lambda _: [np.full((1, 1, 4, 4), 0.7, np.float32)])
    assert mask.shape == (3, 5) and not mask.any()


def test_coverage_is_the_mean_and_judged_at_both_limits():
    assert segmentation.coverage(np.array([[255, 0], [51, 0]], np.uint8)) == 0.3
    assert [segmentation.judge(share, SETTINGS) for share in (0.1499, 0.15, 0.95, 0.9501)] == [
        "mask_too_small", "", "", "mask_too_large",
    ]  # fmt: skip


def test_limits_that_no_mask_can_meet_are_refused():
    with pytest.raises(ParamError, match=r"segment\.min_coverage"):
        SegmentParams("u2netp", 0.95, 0.15, RuntimeParams(2, "auto", "f32"))
