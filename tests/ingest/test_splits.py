import numpy as np
import pandas as pd
import pytest

from stages.ingest import splits


def photos(counts, prefix=""):
    """One photo a group, `counts` of each label."""
    labels = [label for label, n in counts.items() for _ in range(n)]
    return pd.DataFrame({"label": labels, "group": [f"{prefix}{label}{i}" for i, label in enumerate(labels)]})


def test_each_class_gives_its_share_to_each_split():
    frame = photos({"a": 40, "b": 20, "nan": 10})
    before = frame.copy()
    found = splits.assign(frame, val_share=0.1, test_share=0.2, seed=1)
    counts = pd.crosstab(frame["label"], found)
    assert counts[["train", "val", "test"]].values.tolist() == [[28, 4, 8], [14, 2, 4], [7, 1, 2]]
    assert found.name == "split" and found.index.equals(frame.index)
    pd.testing.assert_frame_equal(frame, before)


def test_groups_never_straddle_and_quotas_are_not_exceeded():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"label": rng.choice(list("abc"), 600), "group": rng.integers(0, 150, 600).astype(str)})
    found = splits.assign(frame, 0.15, 0.25, 3)
    assert (found.groupby(frame["group"]).nunique() == 1).all()
    main_label = frame.groupby("group")["label"].agg(lambda labels: labels.mode().iloc[0])
    of_class = frame["group"].map(main_label)
    for label, rows in found.groupby(of_class):
        assert (rows == "test").sum() <= round(0.25 * len(rows)), label
        assert (rows == "val").sum() <= round(0.15 * len(rows)), label
        assert (rows == "test").sum() >= 0.8 * 0.25 * len(rows), label


def test_a_group_larger_than_the_quota_trains_and_a_smaller_one_takes_its_place():
    frame = pd.DataFrame({"label": "a", "group": ["big"] * 8 + ["s1", "s2"]})
    found = {splits.assign(frame, 0.0, 0.1, seed)[0] for seed in range(20)}
    assert found == {"train"}


def test_no_share_means_all_train_and_a_single_group_trains():
    assert set(splits.assign(photos({"a": 5, "b": 1}), 0, 0, 1)) == {"train"}
    assert set(splits.assign(photos({"a": 1, "b": 1}), 0.5, 0.5, 1)) == {"train"}


def test_the_same_seed_gives_the_same_split_whatever_the_order_of_rows():
    frame = photos({"a": 30, "b": 30})
    shuffled = frame.sample(frac=1, random_state=0)
    one = splits.assign(frame, 0.2, 0.2, 7)
    pd.testing.assert_series_equal(splits.assign(shuffled, 0.2, 0.2, 7).sort_index(), one)
    assert not one.equals(splits.assign(frame, 0.2, 0.2, 8))


def test_adding_photos_moves_few_of_the_others():
    frame = photos({"a": 200, "b": 200}, "old")
    more = pd.concat([frame, photos({"a": 10, "b": 10}, "new")], ignore_index=True)
    before, after = splits.assign(frame, 0.2, 0.2, 1), splits.assign(more, 0.2, 0.2, 1)[: len(frame)]
    assert (before != after).mean() < 0.05
    only_b = pd.concat([frame, photos({"b": 40}, "new")], ignore_index=True)
    of_a = frame["label"] == "a"
    assert (splits.assign(only_b, 0.2, 0.2, 1)[: len(frame)][of_a] == before[of_a]).all()


def test_a_photo_without_others_is_an_empty_answer():
    assert splits.assign(pd.DataFrame({"label": [], "group": []}, dtype=str), 0.2, 0.2, 1).empty


@pytest.mark.parametrize("label", ["None", "nan", "a,b", "Škoda"])
def test_classes_of_any_name_are_split(label):
    found = splits.assign(photos({label: 10, "other": 10}), 0.1, 0.2, 1)
    assert found.notna().all() and (found[:10] == "test").sum() == 2


def test_the_last_group_of_a_class_trains_whatever_the_shares():
    frame = pd.DataFrame({"label": ["a"] * 4 + ["b"], "group": ["g1", "g2", "g3", "g4", "h"]})
    chosen = splits.assign(frame, 0.5, 0.5, seed=0)
    assert sorted(chosen[:4]) == ["test", "test", "train", "val"] and chosen[4] == "train"
