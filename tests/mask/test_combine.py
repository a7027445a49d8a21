import numpy as np
import pytest

from stages.core.settings import SettingsError
from stages.mask import combine
from stages.mask.settings import MaskSettings

RULE = MaskSettings(weights={"a": 1.0, "b": 3.0}, min_region=0.1, min_agreement=0.5, min_coverage=0.1, max_coverage=0.9)


def rectangle(shape, x_min, y_min, x_max, y_max):
    mask = np.zeros(shape, np.float32)
    mask[y_min:y_max, x_min:x_max] = 1
    return mask


def test_maps_are_averaged_with_their_weights_at_the_size_of_the_crop():
    first, second = np.zeros((4, 4), np.uint8), np.full((2, 2), 110, np.uint8)
    first[:, 2:] = 255  # the right half: (255 + 3 x 110) / 4 = 146, the left one: 82
    mask = combine.combine({"a": first, "b": second}, (8, 5), RULE)
    assert mask.alpha.shape == (5, 8) and mask.regions == 1
    assert (mask.alpha > 127).tolist() == [[False] * 4 + [True] * 4] * 5
    none = combine.combine({"a": first, "b": second}, (8, 5), RULE.replace(weights={"a": 1.0, "b": 10.0}))
    assert not none.alpha.any() and none.regions == 0 and none.reason == "mask_too_small"


def test_a_segmenter_without_weight_counts_neither_in_the_mask_nor_in_the_agreement():
    first, second = np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8)
    mask = combine.combine({"a": first, "b": second}, (4, 4), RULE.replace(weights={"a": 1.0, "b": 0.0}))
    assert mask.coverage == 1.0 and mask.agreement is None
    assert combine.combine({"a": first, "b": second}, (4, 4), RULE).agreement == 0.0


def test_agreement_is_the_mean_overlap_of_all_pairs():
    left, right, both = (rectangle((4, 8), *box) > 0 for box in ((0, 0, 4, 4), (4, 0, 8, 4), (0, 0, 8, 4)))
    assert combine.agreement([left, both]) == 0.5
    assert combine.agreement([left, right, both]) == 0.3333  # (0 + 0.5 + 0.5) / 3
    assert combine.agreement([left]) is None and combine.agreement([]) is None
    nothing = np.zeros((4, 8), bool)
    assert combine.agreement([nothing, nothing]) == 1.0 and combine.agreement([nothing, both]) == 0.0


def test_the_largest_region_stays_and_others_only_inside_and_large_enough():
    alpha = rectangle((60, 100), 20, 10, 60, 50)  # 40 x 40
    part = rectangle(alpha.shape, 66, 20, 80, 40)  # 14 x 20: cut off by a post
    speck = rectangle(alpha.shape, 70, 50, 73, 53)
    neighbour = rectangle(alpha.shape, 90, 10, 100, 50)  # reaches in from the right
    cleaned, regions = combine.clean(alpha + part + speck + neighbour, 0.1)
    assert regions == 2 and cleaned.dtype == np.uint8
    np.testing.assert_array_equal(cleaned > 127, (alpha + part) > 0)


def test_holes_are_closed_and_open_notches_are_not():
    alpha = rectangle((60, 60), 10, 10, 50, 50)
    alpha[20:30, 20:30] = 0  # a window
    alpha[40:50, 25:35] = 0  # under the car, open below
    cleaned, _ = combine.clean(alpha, 0.1)
    assert cleaned[25, 25] == 255 and cleaned[45, 30] == 0


def test_soft_edges_stay_soft_and_what_lies_far_out_goes():
    alpha = rectangle((100, 100), 20, 20, 80, 80)
    alpha[20:80, 19] = 0.4  # a soft rim
    alpha[20:80, 5] = 0.4  # a haze, away from the car
    cleaned, regions = combine.clean(alpha, 0.1)
    assert regions == 1 and cleaned[50, 19] == 102 and cleaned[50, 5] == 0 and cleaned[50, 50] == 255
    assert cleaned[0, 0] == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_thin_and_empty_masks(shape):
    full, regions = combine.clean(np.ones(shape, np.float32), 0.1)
    assert full.shape == shape and (full == 255).all() and regions == 1
    none, regions = combine.clean(np.full(shape, 0.49, np.float32), 0.1)
    assert not none.any() and regions == 0


def test_the_input_is_left_as_it_was():
    alpha = rectangle((20, 30), 5, 5, 25, 15) * 0.8
    before = alpha.copy()
    combine.clean(alpha, 0.1)
    np.testing.assert_array_equal(alpha, before)


def test_masks_are_rejected_beyond_their_limits():
    reasons = [combine.rejection_reason(share, 1.0, RULE) for share in (0.0999, 0.1, 0.9, 0.9001)]
    assert reasons == ["mask_too_small", "", "", "mask_too_large"]
    assert (
        combine.rejection_reason(0.5, 0.4999, RULE) == "masks_disagree"
        and combine.rejection_reason(0.5, 0.5, RULE) == ""
    )
    assert (
        combine.rejection_reason(0.5, None, RULE) == ""
        and combine.rejection_reason(0.05, 0.1, RULE) == "mask_too_small"
    )


def test_rules_that_no_mask_can_meet_are_refused():
    with pytest.raises(SettingsError, match="min_coverage: expected at most max_coverage"):
        RULE.replace(min_coverage=0.95)
    with pytest.raises(SettingsError, match="weights: expected one above 0 or more"):
        RULE.replace(weights={"a": 0.0})
