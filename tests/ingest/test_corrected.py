"""Decisions of people on labels and photos: what changes, and that the splits of others do not."""

import pandas as pd
import pytest

from stages.ingest import manifest_rows
from stages.ingest.errors import IngestError
from stages.schemas import corrections
from tests.ingest.test_given_splits import SETTINGS, given, photo

ROWS = 10  # photos of each class


@pytest.fixture(autouse=True)
def _count_from_zero():
    photo.count = -1


def photos(n=ROWS):
    return [photo(f"{label}{number}", label) for label in "ab" for number in range(n)]


def decide(*rows):
    return pd.DataFrame([(*row, "", "", "") for row in rows], columns=list(corrections.COLUMNS), dtype=str)


def complete(rows, *decisions, **changes):
    return manifest_rows.complete(pd.DataFrame(rows), SETTINGS.replace(**changes), decide(*decisions))


def by_id(made):
    return made.rows.set_index("image_id")


def test_a_corrected_label_moves_no_photo_to_another_split():
    rows = photos()
    before, after = complete(rows), complete(rows, ("a0", "label", "b"), ("a1", "label", "a"))
    pd.testing.assert_series_equal(by_id(before)["split"], by_id(after)["split"])
    changed = by_id(before)["label"] != by_id(after)["label"]
    assert changed[changed].index.tolist() == ["a0"] and by_id(after).loc["a0", "label"] == "b"
    assert (after.corrections["labels_changed"], after.corrections["labels_confirmed"]) == (1, 1)


@pytest.mark.parametrize(("kind", "reason"), [("drop", "dropped_by_review"), ("not_a_car", "not_a_car")])
def test_a_photo_taken_out_keeps_its_row_with_the_reason_and_moves_no_other(kind, reason):
    rows = photos()
    before, after = complete(rows), complete(rows, ("b3", kind, ""))
    assert by_id(after).loc["b3", ["status", "reason", "split", "group"]].tolist() == ["rejected", reason, "", ""]
    others = by_id(before).index != "b3"
    pd.testing.assert_frame_equal(by_id(before)[others], by_id(after)[others])
    assert after.corrections[kind] == 1 and manifest_rows.count(after)["reason"] == {reason: 1}


def test_a_decision_on_a_photo_of_another_source_may_name_a_class_of_that_source():
    made = complete(photos(), ("elsewhere", "label", "c"), ("a0", "label", "b"))
    assert made.corrections["without_photo"] == 1 and by_id(made).loc["a0", "label"] == "b"
    with pytest.raises(IngestError, match=r"photo a1: expected a class .*, such as a, b, found 'c'"):
        complete(photos(), ("a1", "label", "c"))


def test_a_decision_settles_which_of_two_labels_is_right():
    twice = [photo("x", "a", path="a/x.jpg"), photo("x", "b", path="b/x.jpg")]
    before, after = complete(photos() + twice), complete(photos() + twice, ("x", "label", "b"))
    assert by_id(before).loc["x", "reason"].tolist() == ["conflicting_labels"] * 2
    assert by_id(after).loc["x", ["label", "reason"]].values.tolist() == [["b", ""], ["b", "duplicate"]]


def test_a_decision_labels_a_photo_without_a_label():
    made = complete([*photos(), photo("x", "")], ("x", "label", "a"))
    assert by_id(made).loc["x", ["label", "status"]].tolist() == ["a", "ok"]
    assert made.corrections["labels_confirmed"] == 1


def test_a_class_that_the_source_does_not_have_is_refused():
    with pytest.raises(
        IngestError, match=r"photo a0: expected a class of ingest\.source, such as a, b, found 'A'; correct"
    ):
        complete(photos(), ("a0", "label", "A"))


def test_decisions_on_photos_that_are_not_there_or_not_labelled_are_counted():
    rows = [*photos(), photo("u", "", "unlabelled"), photo("broken", "a", reason="truncated")]
    made = complete(rows, ("gone", "drop", ""), ("u", "drop", ""), ("broken", "label", "b"), ("a0", "no_mask", ""))
    counts = {name: number for name, number in made.corrections.items() if number}
    assert counts == {"no_mask": 1, "without_photo": 3}
    assert by_id(made).loc["u", "split"] == "unlabelled"
    assert "3 decisions of data/corrections.csv are on photos" in manifest_rows.check(made, SETTINGS)[0]


def test_given_splits_stay():
    rows = given(a={"train": 4, "val": 2, "test": 2}, b={"train": 4, "val": 2, "test": 2})
    test = next(row["image_id"] for row in rows if row["split"] == "test" and row["label"] == "a")
    made = complete(rows, (test, "label", "b"))
    assert by_id(made).loc[test, ["label", "split"]].tolist() == ["b", "test"]


def test_no_decision_changes_nothing():
    made = complete(photos())
    assert set(made.corrections.values()) == {0} and (by_id(made)["status"] == "ok").all()
