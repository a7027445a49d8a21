import numpy as np
import pytest

from stages.images.overlap import box_iou, mask_iou, upsample_map


def box(*corners):
    return np.array(corners, np.float32)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1),
        ((0, 0, 10, 10), (5, 0, 15, 10), 50 / 150),
        ((0, 0, 10, 4), (8, 1, 12, 9), 6 / 66),
        ((0, 0, 10, 10), (2, 3, 4, 7), 8 / 100),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0),
        ((0, 0, 10, 10), (30, 30, 40, 40), 0),
        ((5, 5, 5, 5), (5, 5, 5, 5), 0),
        ((0, 0, 10, 10), (8, 8, 2, 2), 0),
    ],
)
def test_box_iou_by_hand_and_either_way_round(a, b, expected):
    np.testing.assert_allclose(box_iou(box(*a), box(*b)), expected, rtol=1e-6)
    np.testing.assert_allclose(box_iou(box(*b), box(*a)), expected, rtol=1e-6)


def test_box_iou_broadcasts_and_takes_none():
    table = np.stack([box(0, 0, 2, 2), box(0, 0, 1, 2), box(9, 9, 9, 9)])
    np.testing.assert_allclose(box_iou(table[0], table), [1, 0.5, 0])
    np.testing.assert_allclose(box_iou(table[:, None], table[None])[0], [1, 0.5, 0])
    assert box_iou(table[:0], table[0]).shape == (0,)


def test_mask_iou_by_hand_and_either_way_round():
    a, b = np.zeros((3, 4), bool), np.zeros((3, 4), bool)
    a[:2, :3], b[1:, 1:] = True, True
    assert mask_iou(a, b) == mask_iou(b, a) == 2 / (6 + 6 - 2)
    assert mask_iou(a, a) == 1 and mask_iou(a, np.zeros_like(a)) == 0


def test_two_empty_masks_overlap_by_one():
    assert mask_iou(np.zeros((2, 3), bool), np.zeros((2, 3), bool)) == 1


def test_a_map_is_brought_to_the_size_of_its_crop():
    saliency_map = np.array([[0, 255], [0, 255]], np.uint8)
    before = saliency_map.copy()
    upsampled = upsample_map(saliency_map, (4, 3))
    assert upsampled.shape == (3, 4) and upsampled.dtype == np.float32
    np.testing.assert_allclose(upsampled, [[0, 0.25, 0.75, 1]] * 3)
    np.testing.assert_array_equal(saliency_map, before)
