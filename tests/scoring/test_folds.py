import numpy as np
import pytest

from stages.scoring import folds

GROUPS = ["g0", "g0", "g2", "g3", "g4", "g5", "g5", "g5"]
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])


def test_every_photo_is_held_out_once_with_its_group_and_classes_are_spread():
    masks = folds.held_out(LABELS, GROUPS, 2)
    assert np.sum(masks, axis=0).tolist() == [1] * 8
    for mask in masks:
        assert mask[0] == mask[1] and mask[5] == mask[6] == mask[7]
        # Two photos of class 0 in each; of class 1, one group is three photos.
        assert mask[:4].sum() == 2 and mask[4:].sum() in (1, 3)


def test_the_same_seed_gives_the_same_folds_and_another_one_others():
    labels, groups = np.arange(60) % 3, [str(number) for number in range(60)]
    first, again, other = (folds.held_out(labels, groups, 5, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert [int(mask.sum()) for mask in first] == [12] * 5


@pytest.mark.parametrize(
    ("labels", "groups", "expected"),
    [
        ([], [], 0),
        ([0, 0, 1], ["a", "a", "a"], 0),  # a single group cannot be divided
        ([0, 1, 2], ["a", "b", "c"], 0),  # each class once: without its photo a class is not learned
        ([0, 0, 1], ["a", "b", "c"], 2),
        ([0, 0, 0, 1], ["a", "b", "c", "c"], 3),
    ],
)
def test_few_photos_give_fewer_folds(labels, groups, expected):
    assert len(folds.held_out(np.array(labels, dtype=np.int64), groups, 5)) == expected
