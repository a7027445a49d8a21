"""Which photos are shown, in which order, and why."""

import pandas as pd
import pytest

from stages.commands.reviewing import queue
from stages.commands.reviewing.queue import QueueFilter, ReviewTables
from stages.schemas import crops, issues, manifest, masks
from stages.schemas.predictions import Predictions
from tests.commands.reviewing import review_project
from tests.commands.reviewing.review_project import CLASSES, IDS


def frame(text, columns):
    """Rows in the types of a schema."""
    return text.astype({name: kind for name, kind in columns.items() if kind != "str"}, errors="ignore")


def tables_of(**changes):
    made = ReviewTables(
        review_project.manifest_rows(),
        review_project.box_rows(),
        review_project.mask_rows().assign(
            coverage=lambda rows: pd.to_numeric(rows["coverage"]), agreement=float("nan")
        ),
        review_project.issue_rows(),
        review_project.predicted([2, 3, 4, 6], {2: "van", 3: "van", 4: "pickup", 6: "limousine"}),
        [],
    )
    return made._replace(**changes)


def codes_of(found):
    return found.photos["codes"].to_dict()


def test_each_photo_stands_once_with_all_its_reasons_the_most_doubtful_first():
    found = queue.build(tables_of())
    # 0.9 before 0.75; then 5 and 6, near-duplicates with two labels; the wrong prediction; the mask; no vehicle.
    first = sorted([IDS[5], IDS[6]])
    assert found.photos.index.tolist() == [IDS[0], IDS[1], *first, IDS[3], IDS[2], IDS[4]]
    assert codes_of(found) == {
        IDS[0]: "label_issue;outlier",
        IDS[1]: "label_issue",
        IDS[5]: "different_labels",
        IDS[6]: "different_labels",
        IDS[3]: "wrong_prediction",
        IDS[2]: "mask_too_small",
        IDS[4]: "no_vehicle",
    }
    assert found.photos["suggested_label"].tolist()[:2] == ["sedan", "wagon"]
    assert (found.n_unreadable, found.n_unknown) == (1, 0)


def test_the_reasons_in_words():
    texts = dict(zip(*[queue.build(tables_of()).reasons[name] for name in ("code", "text")]))
    assert texts["label_issue"].endswith("it is wrong with probability 75.0 %.")
    assert texts["outlier"].startswith("1.2 times as far")
    assert texts["wrong_prediction"] == "The ensemble predicts van with probability 50.0 %."
    assert texts["different_labels"] in (
        "Near-duplicates have other labels: coupe/5.jpg is coupe.",
        "Near-duplicates have other labels: limousine/6.jpg is limousine.",
    )
    assert texts["mask_too_small"].endswith("Here: 2.0 %.") and texts["no_vehicle"].startswith("No box")


def test_equal_scores_are_ordered_by_image_id():
    rows = review_project.issue_rows().assign(score=0.5, kind="label_issue").drop_duplicates("image_id")
    found = queue.build(tables_of(issues=rows)).photos.index.tolist()
    assert found[:2] == sorted([IDS[0], IDS[1]])


def test_tables_that_a_run_did_not_make_give_no_reasons():
    found = queue.build(tables_of(boxes=None, masks=None, issues=None, predicted=None))
    assert set(codes_of(found).values()) == {"different_labels"}


def test_empty_tables_give_an_empty_queue():
    empty = {
        "photos": frame(pd.DataFrame(columns=list(manifest.COLUMNS)), manifest.COLUMNS),
        "boxes": frame(pd.DataFrame(columns=list(crops.COLUMNS)), crops.COLUMNS),
        "masks": frame(pd.DataFrame(columns=list(masks.COLUMNS)), masks.COLUMNS),
        "issues": frame(pd.DataFrame(columns=list(issues.COLUMNS)), issues.COLUMNS),
        "predicted": Predictions([], review_project.predicted([], {}).probabilities, CLASSES),
    }
    found = queue.build(tables_of(**empty))
    assert found.photos.empty and found.select(QueueFilter(), set(), set()) == ([], [])
    assert found.counts("code") == {} and found.counts("label") == {}


def test_photos_to_predict_are_left_out_and_issues_of_unknown_photos_counted():
    photos = review_project.manifest_rows()
    photos.loc[photos["image_id"] == IDS[4], "split"] = "unlabelled"
    photos.loc[photos["image_id"] == IDS[1], "image_id"] = "f" * 16
    found = queue.build(tables_of(photos=photos))
    assert IDS[4] not in found.photos.index and IDS[1] not in found.photos.index and found.n_unknown == 1


def test_a_photo_with_a_decision_stays_though_it_is_no_longer_used():
    photos = review_project.manifest_rows()
    photos.loc[photos["image_id"] == IDS[0], ["status", "split"]] = ["rejected", ""]
    found = queue.build(tables_of(photos=photos, issues=None, corrected=[IDS[0], "0" * 16]))
    assert found.photos.index[-1] == IDS[0] and codes_of(found)[IDS[0]] == "corrected"


def test_photos_that_only_lack_a_label_are_shown_without_one():
    photos = review_project.manifest_rows()
    twice = photos[photos["image_id"] == IDS[1]].assign(path="wagon/1.jpg", label="wagon")
    photos.loc[photos["image_id"] == IDS[4], ["label", "status", "reason", "split"]] = ["", "rejected", "no_label", ""]
    photos = pd.concat([photos, twice], ignore_index=True)
    is_twice = photos["image_id"] == IDS[1]
    photos.loc[is_twice, ["status", "reason", "split"]] = ["rejected", "conflicting_labels", ""]
    found = queue.build(tables_of(photos=photos, issues=None, boxes=None))
    codes = codes_of(found)
    assert codes[IDS[1]] == "conflicting_labels" and codes[IDS[4]] == "no_label"
    assert found.photos.loc[[IDS[1], IDS[4]], "label"].tolist() == ["", ""] and "" not in found.counts("label")
    (text,) = found.reasons.loc[found.reasons["image_id"] == IDS[1], "text"]
    assert text.endswith("Here: sedan/1.jpg is sedan; wagon/1.jpg is wagon.")


@pytest.mark.parametrize(
    ("chosen", "shown", "n_total"),
    [
        (QueueFilter(), [0, 1, 3, 2, 4], 5),
        (QueueFilter(reason="outlier"), [0], 1),
        (QueueFilter(label="sedan"), [1], 1),
        (QueueFilter(label="sedan", split="test"), [], 0),
        (QueueFilter(split="test"), [3, 4], 2),
        (QueueFilter(state="open"), [3, 4], 5),
        (QueueFilter(state="decided"), [0, 1], 5),
        (QueueFilter(state="skipped"), [2], 5),
        (QueueFilter(order="path"), [0, 4, 1, 2, 3], 5),
        (QueueFilter(order="class", split="train"), [0, 1], 2),
        (QueueFilter(reason="nothing"), [], 0),
    ],
)
def test_filters(chosen, shown, n_total):
    photos = review_project.manifest_rows().assign(group="")
    photos["group"] = photos["image_id"]
    found, total = queue.build(tables_of(photos=photos)).select(chosen, {IDS[0], IDS[1]}, {IDS[0], IDS[2]})
    assert found == [IDS[number] for number in shown] and len(total) == n_total


def test_counts_are_in_the_order_of_the_queue():
    found = queue.build(tables_of())
    assert list(found.counts("code").items())[:3] == [("label_issue", 2), ("outlier", 1), ("different_labels", 2)]
    assert found.counts("split") == {"test": 2, "train": 3, "val": 2}
