import numpy as np
import pandas as pd
import pytest

from stages.core.settings import SettingsError
from stages.ingest import splits
from stages.ingest.settings import IngestSettings

SETTINGS = IngestSettings(
    source="photos", seed=1, val_share=0.2, test_share=0.2, folds=4, near_duplicate_bits=3, min_photos_per_class=3
)


def photos(counts, group_size=1):
    """Photos in groups of one class with `group_size` photos; `counts` of each label."""
    labels = [label for label, n in counts.items() for _ in range(n)]
    groups = [f"{label}{i // group_size}" for label, n in counts.items() for i in range(n)]
    return pd.DataFrame({"label": labels, "group": groups, "split": "", "origin": "", "time": np.nan})


def all_folds(frame, **changes):
    """The split of each photo (rows) in each fold (columns)."""
    settings = SETTINGS.replace(**changes)
    return pd.concat([splits.assign(frame, settings.replace(fold=n)) for n in range(settings.folds)], axis=1)


@pytest.mark.parametrize("group_size", [1, 2])
def test_each_photo_is_in_test_once_over_the_folds_stratified_and_in_whole_groups(group_size):
    frame = photos({"a": 40, "b": 16}, group_size)
    before = frame.copy()
    found = all_folds(frame)
    assert ((found == "test").sum(axis=1) == 1).all()
    assert set(np.unique(found)) == {"train", "val", "test"}
    by_label = (found == "test").groupby(frame["label"]).sum()
    assert by_label.values.tolist() == [[10] * 4, [4] * 4]
    for fold in range(4):
        assert (found.iloc[:, fold].groupby(frame["group"]).nunique() == 1).all()
    # 0.2 of all photos: 8 of 40, of the 30 that are not test; 3 of 16, of 12 (3.2 rounded, whole groups of 2: 2).
    val = (found == "val").groupby(frame["label"]).sum()
    assert val.values.tolist() == [[8] * 4, [3 if group_size == 1 else 2] * 4]
    pd.testing.assert_frame_equal(frame, before)


def test_the_folds_depend_on_the_seed_and_not_on_the_order_of_rows():
    frame = photos({"a": 20, "b": 20})
    one = all_folds(frame)
    pd.testing.assert_frame_equal(all_folds(frame), one)
    pd.testing.assert_frame_equal(all_folds(frame.sample(frac=1, random_state=0)).sort_index(), one)
    assert not all_folds(frame, seed=2).equals(one)


def test_two_folds_of_four_photos_of_a_class_leave_photos_to_train_on():
    found = all_folds(photos({"a": 4, "b": 4}), folds=2)
    for fold in range(2):
        # 2 of 4 are test; of the other 2 one is val, 0.8 of a photo rounded.
        assert sorted(found.iloc[:4, fold]) == sorted(found.iloc[4:, fold]) == ["test", "test", "train", "val"]


@pytest.mark.parametrize(
    ("counts", "group_size", "fewest"), [({"a": 40, "b": 3}, 1, "3 of `b`"), ({"a": 40, "b": 6}, 2, "3 of `b`")]
)
def test_more_folds_than_groups_of_a_class_are_one_line(counts, group_size, fewest):
    with pytest.raises(splits.SplitError, match=rf"ingest\.folds: .*found 4 folds and {fewest}; lower") as caught:
        splits.assign(photos(counts, group_size), SETTINGS)
    assert "\n" not in str(caught.value)
    splits.assign(photos(counts, group_size), SETTINGS.replace(folds=3))


def test_as_many_folds_as_groups_of_a_class_are_filled():
    found = all_folds(photos({"a": 12, "b": 4}))
    assert (found == "test").groupby(["a"] * 12 + ["b"] * 4).sum().values.tolist() == [[3] * 4, [1] * 4]


def test_folds_are_drawn_from_given_train_and_given_val_is_kept():
    frame = photos({"a": 24, "b": 24})
    frame["split"] = ["val" if n % 6 == 0 else "train" for n in range(48)]
    found = all_folds(frame)
    is_val = frame["split"] == "val"
    assert (found[is_val] == "val").all().all() and (found[~is_val] != "val").all().all()
    assert ((found[~is_val] == "test").sum(axis=1) == 1).all()


def test_folds_with_given_test_photos_are_refused_in_one_line():
    frame = photos({"a": 24, "b": 24})
    frame.loc[5, "split"] = "test"
    with pytest.raises(splits.SplitError, match=r"ingest\.folds: expected null where test photos are given, found 4"):
        splits.assign(frame, SETTINGS)
    assert splits.assign(frame, SETTINGS.replace(folds=None))[5] == "test"


def test_without_photos_folds_are_one_line():
    with pytest.raises(splits.SplitError, match="no photos"):
        splits.assign(photos({}).astype(str), SETTINGS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 1}, "folds"),
        ({"folds": 4, "fold": 4}, "below folds"),
        ({"fold": -1}, "fold"),
        ({"folds": 2, "val_share": 0.5}, "1 - 1 / folds"),
    ],
)
def test_folds_that_cannot_be_are_errors_of_the_settings(changes, message):
    with pytest.raises(SettingsError, match=message):
        SETTINGS.replace(**changes)


def test_the_share_of_test_is_not_used_with_folds():
    frame = photos({"a": 20, "b": 20})
    pd.testing.assert_frame_equal(all_folds(frame, test_share=0.0), all_folds(frame, test_share=0.9))


def test_a_fold_without_folds_is_an_error():
    with pytest.raises(SettingsError, match="fold: expected 0 without folds, found 2; set folds"):
        SETTINGS.replace(folds=None, fold=2)
