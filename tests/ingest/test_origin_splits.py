import numpy as np
import pandas as pd
import pytest

from stages.ingest import origin_splits, splits
from stages.ingest.errors import SplitError
from stages.ingest.settings import IngestSettings

SETTINGS = IngestSettings(
    source="x", split_by="origin", seed=1, val_share=0.2, test_share=0.2, near_duplicate_bits=0, min_photos_per_class=1
)


def photos(*rows):
    """Known photos given as origin, labels (a letter each) and perhaps the group of all of them."""
    listed = [(origin, label, *group) for origin, labels, *group in rows for label in labels]
    frame = pd.DataFrame([(row[0], row[1], row[2] if len(row) > 2 else f"g{n}") for n, row in enumerate(listed)])
    names = dict(enumerate(("origin", "label", "group")))
    return frame.reindex(columns=range(3)).rename(columns=names).astype(str).assign(split="", time=np.nan)


def assign(frame, **changes):
    settings = SETTINGS.replace(**changes)
    before = frame.copy()
    assigned = splits.assign(splits.with_guides(frame, "origin", settings), settings)
    pd.testing.assert_frame_equal(frame, before)
    assert assigned.index.equals(frame.index)
    return assigned


def split_of(frame, **changes):
    """The splits of each origin's photos."""
    return assign(frame, **changes).groupby(frame["origin"]).unique().map(list).to_dict()


FIVE = [(name, "aabb") for name in ("autos", "berg", "cars", "duo", "ecke")]


@pytest.mark.parametrize("seed", range(5))
def test_of_five_equal_origins_one_is_test_one_val_and_three_train(seed):
    found = split_of(photos(*FIVE), seed=seed)
    assert sorted(found.values()) == [["test"], *[["train"]] * 3, ["val"]]


def test_the_seed_draws_and_the_order_of_rows_has_no_influence():
    frame = photos(*FIVE)
    assert len({tuple(assign(frame, seed=seed)) for seed in range(20)}) > 5
    shuffled = frame.sample(frac=1, random_state=0)
    pd.testing.assert_series_equal(assign(shuffled).sort_index(), assign(frame))


def test_an_origin_that_alone_holds_a_class_is_in_train_for_every_seed():
    frame = photos(("only", "ccc"), ("x", "ab"), ("y", "ab"), ("z", "ab"))
    for seed in range(20):
        found = split_of(frame, seed=seed)
        assert found.pop("only") == ["train"] and sorted(found.values()) == [["test"], ["train"], ["val"]]


def test_the_last_origins_of_a_class_are_not_both_taken():
    # Either x or y may leave train, not both; the other place is of v or w.
    frame = photos(("x", "c"), ("y", "c"), ("v", "ab"), ("w", "ab"), ("u", "ab"))
    for seed in range(20):
        assigned = assign(frame, seed=seed)
        assert set(frame["label"][assigned == "train"]) == set("abc")


def test_large_origins_stay_in_train_and_the_smallest_is_taken_where_all_are_large():
    # 20 photos: 4 wanted. Of 9, 9 and 2 photos 2 are nearer to 4 than none; for val both others are far: the first.
    frame = photos(("p", "ab" * 4 + "a"), ("q", "ab" * 4 + "b"), ("r", "ab"))
    for seed in range(10):
        found = split_of(frame, seed=seed, val_share=0.0)
        assert found == {"p": ["train"], "q": ["train"], "r": ["test"]}
    assert split_of(photos(("p", "ab" * 5), ("q", "ab" * 6)), val_share=0.0) == {"p": ["test"], "q": ["train"]}


def test_an_origin_is_left_for_each_split_that_follows():
    # 20 wanted for test: both small ones would be taken, and none left for val.
    found = split_of(photos(("p", "ab" * 47), ("q", "ab"), ("r", "abab")))
    assert found["p"] == ["train"] and sorted([*found["q"], *found["r"]]) == ["test", "val"]


def test_origins_that_share_a_group_share_a_split_also_by_way_of_others():
    origins = pd.Series(["b", "a", "c", "b", "c", "", "", "d"])
    groups = pd.Series(["1", "2", "3", "2", "1", "3", "4", "5"])
    # 1: b, c; 2: a, b; 3: c and a photo without an origin; 4: none; 5: d alone.
    assert origin_splits.join_origins(origins, groups).tolist() == ["a", "a", "a", "a", "a", "a", "", "d"]
    empty = pd.Series([], dtype=str)
    assert origin_splits.join_origins(empty, empty).tolist() == []
    assert origin_splits.join_origins(pd.Series(["", ""]), pd.Series(["g", "h"])).tolist() == ["", ""]


def test_groups_and_joined_origins_never_straddle():
    frame = photos(*[(name, "ab", "shared" if name in ("berg", "duo") else name) for name, _ in FIVE])
    for seed in range(10):
        found = split_of(frame, seed=seed)
        assert found["berg"] == found["duo"] and all(len(names) == 1 for names in found.values())


def test_photos_without_an_origin_are_in_train_and_count_for_their_classes():
    frame = photos(("", "ac"), ("x", "ac"), ("y", "ab"), ("z", "ab"))
    found = [split_of(frame, seed=seed) for seed in range(20)]
    assert all(names[""] == ["train"] for names in found)
    # x holds the one class c beside them: it can be spared.
    assert {"test", "val"} <= {names["x"][0] for names in found}


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([("", "ab")], "photos with an origin, found none among 2; name the column"),
        ([("x", "aabb")], "an origin for test .* none among 1 .*: without `x`, train has no photos of a, b;"),
        ([("x", "ab"), ("y", "ab")], "an origin for val .* found none among 1"),
        ([("x", "aa"), ("y", "bb"), ("z", "cc")], "an origin for test .* found none among 3 .*of (a|b|c);"),
        ([("x", "ab", "g"), ("y", "ab", "g"), ("z", "ab", "g")], "for test .* found none among 1 "),
    ],
)
def test_too_few_origins_are_one_line_that_names_classes(rows, found):
    with pytest.raises(SplitError, match=found) as caught:
        assign(photos(*rows))
    assert "\n" not in str(caught.value)


def test_without_shares_or_photos_no_origins_are_needed():
    assert assign(photos(("", "ab")), val_share=0.0, test_share=0.0).tolist() == ["train"] * 2
    assert assign(photos()).empty


@pytest.mark.parametrize("name", ["None", "nan", "a,b", "0", " x", "Škoda", "ş" * 300])
def test_any_name_of_an_origin_is_valid(name):
    frame = photos((name, "ab"), ("y", "ab"), ("z", "ab"))
    assert sorted(split_of(frame).values()) == [["test"], ["train"], ["val"]]


def test_given_test_photos_are_kept_and_val_is_whole_origins_of_the_others():
    frame = photos(*FIVE)
    frame.loc[frame["origin"] == "autos", "split"] = "test"
    found = split_of(frame)
    assert found["autos"] == ["test"] and sorted(found.values()) == [["test"], *[["train"]] * 3, ["val"]]


def test_as_many_folds_as_origins_leave_one_origin_out_each_time():
    frame = photos(*FIVE, ("", "ab"))
    folds = [assign(frame, folds=5, fold=fold) for fold in range(5)]
    tested = [frame["origin"][fold == "test"].unique().tolist() for fold in folds]
    assert sorted(tested) == [[name] for name, _ in FIVE]
    for fold in folds:
        assert (fold[frame["origin"] == ""] == "train").all() and (fold == "val").sum() == 4
        assert (fold.groupby(frame["origin"]).nunique() == 1).all()


def test_fewer_folds_than_origins_are_of_whole_origins_and_more_are_an_error():
    frame = photos(*FIVE)
    tested = pd.concat([assign(frame, folds=2, fold=fold) == "test" for fold in range(2)], axis=1)
    assert (tested.sum(axis=1) == 1).all() and (tested.groupby(frame["origin"]).nunique() == 1).all().all()
    with pytest.raises(SplitError, match=r"found 6 folds and 5 origins .*; lower ingest.folds"):
        assign(frame, folds=6)
