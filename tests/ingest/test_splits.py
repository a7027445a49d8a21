import numpy as np
import pandas as pd
import pytest

from stages.ingest import splits
from stages.ingest.settings import IngestSettings


def photos(counts, prefix=""):
    """Photos, each its own group, `counts` of each label."""
    labels = [label for label, n in counts.items() for _ in range(n)]
    return pd.DataFrame(
        {
            "label": labels,
            "group": [f"{prefix}{label}{i}" for i, label in enumerate(labels)],
            "split": "",
            "origin": "",
            "time": np.nan,
        }
    )


def assign(frame, val_share, test_share, seed, **changes):
    settings = IngestSettings(
        source="x", seed=seed, val_share=val_share, test_share=test_share, near_duplicate_bits=0, min_photos_per_class=1
    )
    return splits.assign(frame, settings.replace(**changes))


def test_each_split_has_its_share_of_each_class():
    frame = photos({"a": 40, "b": 20, "nan": 10})
    before = frame.copy()
    assigned = assign(frame, val_share=0.1, test_share=0.2, seed=1)
    counts = pd.crosstab(frame["label"], assigned)
    assert counts[["train", "val", "test"]].values.tolist() == [[28, 4, 8], [14, 2, 4], [7, 1, 2]]
    assert assigned.name == "split" and assigned.index.equals(frame.index)
    pd.testing.assert_frame_equal(frame, before)


def test_groups_are_not_divided_and_quotas_are_not_exceeded():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"label": rng.choice(list("abc"), 600), "group": rng.integers(0, 150, 600).astype(str)})
    frame[["split", "origin", "time"]] = "", "", np.nan
    assigned = assign(frame, 0.15, 0.25, 3)
    assert (assigned.groupby(frame["group"]).nunique() == 1).all()
    main_label = frame.groupby("group")["label"].agg(lambda labels: labels.mode().iloc[0])
    group_labels = frame["group"].map(main_label)
    for label, rows in assigned.groupby(group_labels):
        assert (rows == "test").sum() <= round(0.25 * len(rows)), label
        assert (rows == "val").sum() <= round(0.15 * len(rows)), label
        assert (rows == "test").sum() >= 0.8 * 0.25 * len(rows), label


def test_a_group_larger_than_the_quota_is_in_train():
    frame = pd.DataFrame({"label": "a", "group": ["big"] * 8 + ["s1", "s2"], "split": "", "origin": "", "time": np.nan})
    assigned = {assign(frame, 0.0, 0.1, seed)[0] for seed in range(20)}
    assert assigned == {"train"}


def test_without_shares_or_with_a_single_group_all_is_train():
    assert set(assign(photos({"a": 5, "b": 1}), 0, 0, 1)) == {"train"}
    assert set(splits.by_share(photos({"a": 1, "b": 1}), {"test": 0.5, "val": 0.5}, 1)) == {"train"}


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_rows():
    frame = photos({"a": 30, "b": 30})
    shuffled = frame.sample(frac=1, random_state=0)
    one = assign(frame, 0.2, 0.2, 7)
    pd.testing.assert_series_equal(assign(shuffled, 0.2, 0.2, 7).sort_index(), one)
    assert not one.equals(assign(frame, 0.2, 0.2, 8))


def test_added_photos_change_the_split_of_few_others():
    frame = photos({"a": 200, "b": 200}, "old")
    more = pd.concat([frame, photos({"a": 10, "b": 10}, "new")], ignore_index=True)
    before, after = assign(frame, 0.2, 0.2, 1), assign(more, 0.2, 0.2, 1)[: len(frame)]
    assert (before != after).mean() < 0.05
    only_b = pd.concat([frame, photos({"b": 40}, "new")], ignore_index=True)
    is_a = frame["label"] == "a"
    assert (assign(only_b, 0.2, 0.2, 1)[: len(frame)][is_a] == before[is_a]).all()


def test_without_photos_the_result_is_empty():
    frame = pd.DataFrame({"label": [], "group": [], "split": []}, dtype=str).assign(origin="", time=np.nan)
    assert assign(frame, 0.2, 0.2, 1).empty


@pytest.mark.parametrize("label", ["None", "nan", "a,b", "Škoda"])
def test_any_name_of_a_class_is_valid(label):
    assigned = assign(photos({label: 10, "other": 10}), 0.1, 0.2, 1)
    assert assigned.notna().all() and (assigned[:10] == "test").sum() == 2


def test_the_last_group_of_a_class_is_in_train_for_any_shares():
    frame = pd.DataFrame(
        {"label": ["a"] * 4 + ["b"], "group": ["g1", "g2", "g3", "g4", "h"], "split": "", "origin": "", "time": np.nan}
    )
    assigned = splits.by_share(frame, {"test": 0.5, "val": 0.5}, seed=0)
    assert sorted(assigned[:4]) == ["test", "test", "train", "val"] and assigned[4] == "train"


def test_given_splits_are_kept_and_only_missing_ones_are_taken_from_the_others():
    frame = photos({"a": 10, "b": 10})
    frame["split"] = ["test", *["train"] * 9] * 2
    before = frame.copy()
    assigned = assign(frame, 0.2, 0.3, 1)
    assert (assigned[frame["split"] == "test"] == "test").all() and (assigned == "test").sum() == 2
    # Of the nine other photos of each class a share of 0.2, rounded, is two.
    assert pd.crosstab(frame["label"], assigned)[["train", "val"]].values.tolist() == [[7, 2], [7, 2]]
    pd.testing.assert_frame_equal(frame, before)
    frame["split"] = ["val", "test", *["train"] * 8] * 2
    assert assign(frame, 0.2, 0.3, 1).tolist() == frame["split"].tolist()


def test_every_photo_is_test_in_one_fold_and_groups_are_not_divided():
    frame = photos({"a": 20, "b": 10})
    frame["group"] = [f"g{row // 2}" for row in range(30)]
    folds = [assign(frame, 0.2, 0.2, 1, folds=5, fold=fold) for fold in range(5)]
    tested = pd.concat([fold == "test" for fold in folds], axis=1)
    assert (tested.sum(axis=1) == 1).all()
    for assigned in folds:
        assert pd.crosstab(frame["label"], assigned)["test"].tolist() == [4, 2]
        assert (assigned.groupby(frame["group"]).nunique() == 1).all()
        # 0.2 of all photos: a quarter of those outside the fold.
        assert pd.crosstab(frame["label"], assigned)["val"].tolist() == [4, 2]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([3, 3, 3], {"test": [3], "val": [3], "train": [3]}),  # shares of 2 and 1 photos
        ([25, 25, 25, 25], {"test": [25], "val": [25], "train": [25, 25]}),  # of 20 and 15
        ([20] * 5, {"test": [20], "val": [20], "train": [20] * 3}),  # a share of 20, and one of 15
        ([50, 50], {"test": [50], "train": [50]}),
        ([9], {"train": [9]}),
    ],
)
def test_of_groups_larger_than_the_shares_one_is_held_out_as_long_as_one_is_left(sizes, expected):
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    frame = pd.DataFrame({"label": "a", "group": groups, "split": "", "origin": "", "time": np.nan})
    assigned = assign(frame, 0.15, 0.2, 1)
    by_group = assigned.groupby(frame["group"]).agg(["first", "nunique", "size"])
    assert (by_group["nunique"] == 1).all()
    assert by_group.groupby("first")["size"].apply(list).to_dict() == expected


def test_the_smallest_of_the_groups_larger_than_a_share_is_held_out():
    groups = ["x"] * 8 + ["y"] * 5 + ["z"] * 7
    frame = pd.DataFrame({"label": "a", "group": groups, "split": "", "origin": "", "time": np.nan})
    # The last group in the order of the seed stays in train, whatever its size.
    held_out = {frozenset(frame["group"][assign(frame, 0.0, 0.1, seed) == "test"]) for seed in range(20)}
    assert held_out == {frozenset("y"), frozenset("z")}
