import json

import numpy as np
import pytest

from stages.images import detection_metrics


def test_a_photo_without_a_box_overlaps_by_nothing():
    true = np.array([[0, 0, 10, 10.0]] * 3)
    chosen = np.array([[0, 0, 10, 10.0], [5, 0, 15, 10], [np.nan] * 4])
    np.testing.assert_allclose(detection_metrics.box_ious(chosen, true), [1, 1 / 3, 0])
    assert detection_metrics.box_ious(chosen[:0], true[:0]).shape == (0,)


def test_true_pixels_outside_the_crop_count_as_missed():
    true_mask = np.zeros((6, 8), np.uint8)
    true_mask[1:5, 2:6] = 255  # 16 pixels
    mask = np.full((3, 4), 255, np.uint8)  # the crop's rows 2..4, columns 3..6: 3 x 3 of them are true
    before = true_mask.copy()
    assert detection_metrics.crop_mask_iou(mask, (3, 2, 7, 5), true_mask) == 9 / (12 + 16 - 9)
    np.testing.assert_array_equal(true_mask, before)


def test_masks_are_cut_at_half():
    true_mask = np.array([[127, 128]], np.uint8)
    assert detection_metrics.crop_mask_iou(np.array([[127, 128]], np.uint8), (0, 0, 2, 1), true_mask) == 1
    assert detection_metrics.crop_mask_iou(np.array([[128, 127]], np.uint8), (0, 0, 2, 1), true_mask) == 0
    assert detection_metrics.crop_mask_iou(np.zeros((1, 2), np.uint8), (0, 0, 2, 1), np.zeros((1, 2), np.uint8)) == 1


def test_a_mask_of_another_size_than_its_window_is_refused():
    for shape in [(4, 3), (6, 8), (2, 4), (3, 3)]:
        with pytest.raises(ValueError, match=rf"3 x 4 \(H x W\) or as much smaller, found \({shape[0]}, {shape[1]}\)"):
            detection_metrics.crop_mask_iou(np.zeros(shape, np.uint8), (3, 2, 7, 5), np.zeros((6, 8), np.uint8))


def test_the_mask_of_a_crop_that_was_shrunk_counts_at_the_size_of_its_window():
    true_mask = np.zeros((10, 12), np.uint8)
    true_mask[2:8, 1:5] = 255  # the left half of the window at columns 1..9, rows 2..8
    mask = np.zeros((3, 4), np.uint8)
    mask[:, :2] = 255
    before = mask.copy()
    assert detection_metrics.crop_mask_iou(mask, (1, 2, 9, 8), true_mask) == 1
    mask[2, 0] = 0  # a fourth of 2 x 2 pixels and, mixed with its neighbours, no more than those
    assert 20 / 24 <= detection_metrics.crop_mask_iou(mask, (1, 2, 9, 8), true_mask) < 1
    mask[2, 0] = 255
    np.testing.assert_array_equal(mask, before)


def test_the_summary_by_hand():
    summary = detection_metrics.summarise(np.array([0.5, 0.75, 0.2, 0.95]), np.array([0.4, np.nan, 0.9, 0.8, 0.5]))
    assert summary["detector"] == {"n": 4, "recall_at_50": 0.75, "recall_at_75": 0.5, "mean_iou": 0.6}
    assert summary["mask"] == {"n": 4, "mean_iou": 0.65, "median_iou": 0.65, "share_below_half": 0.25}


@pytest.mark.parametrize("masks", [[np.nan, np.nan], []])
def test_without_any_mask_the_summary_can_still_be_written(masks):
    summary = detection_metrics.summarise(np.array([0.5]), np.array(masks))
    assert json.loads(json.dumps(summary, allow_nan=False))["mask"]["n"] == 0


def test_gains_are_paired_photo_by_photo():
    averaged = np.array([0.9, 0.8, np.nan, 0.7, 0.6])
    gains = detection_metrics.paired_gains(averaged, {"a": averaged - 0.1, "b": np.array([0.9, 0.6, 0.1, 0.7, np.nan])})
    assert gains["a"] == {"mean_iou": 0.65, "gain": 0.1, "low": 0.1, "high": 0.1}
    assert (gains["b"]["mean_iou"], gains["b"]["gain"]) == (0.7333, 0.0667)
    assert gains["b"]["low"] == 0.0 and gains["b"]["high"] == 0.2
    assert detection_metrics.paired_gains(averaged[:1], {"a": averaged[:1]}) == {"a": {}}
