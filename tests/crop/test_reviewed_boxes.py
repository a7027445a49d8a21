"""Boxes that people drew: in place of the rule's, in pixels of the upright photo."""

import numpy as np
import pandas as pd
import pytest

from stages.core.errors import TableError
from stages.crop import cropping, reviewed_boxes
from stages.schemas import corrections
from tests.crop.test_cropping import CORNERS, FOUND, RULE, photo

A, B, C = ("a" * 16, "b" * 16, "c" * 16)
PHOTOS = pd.DataFrame([photo(A), photo(B), photo(C, "failed", "truncated")])
DETECTED = FOUND.iloc[[0]].assign(image_id=A)


def read(tmp_path, *rows):
    frame = pd.DataFrame([(*row, "", "", "") for row in rows], columns=list(corrections.COLUMNS), dtype=str)
    corrections.write(tmp_path / "corrections.csv", frame)
    return reviewed_boxes.read(tmp_path / "corrections.csv", PHOTOS)


@pytest.mark.parametrize("on_no_box", ["full_image", "drop"])
def test_a_drawn_box_replaces_that_of_the_rule_or_its_rejection(tmp_path, on_no_box):
    rule = RULE.replace(on_no_box=on_no_box)
    drawn = read(tmp_path, (A, "box", "1 2 21 30"), (B, "box", "0 0 40 30"), (C, "box", "0 0 9 9"))
    before = cropping.select_boxes(PHOTOS, DETECTED, rule)
    table = reviewed_boxes.apply(before.copy(), drawn, rule)
    assert before["is_cropped"].tolist() == [True, False, False]
    assert table[CORNERS].values.tolist()[:2] == [[1, 2, 21, 30], [0, 0, 40, 30]]
    assert table["status"].tolist() == ["ok", "ok", "failed"] and table["reason"].tolist() == ["", "", "truncated"]
    assert table["class_name"].tolist() == ["reviewed", "reviewed", ""] and table["is_cropped"].tolist() == [
        True,
        True,
        False,
    ]
    assert table.dtypes.tolist() == before.dtypes.tolist()


def test_without_a_drawn_box_the_table_stays(tmp_path):
    before = cropping.select_boxes(PHOTOS, DETECTED, RULE)
    pd.testing.assert_frame_equal(reviewed_boxes.apply(before.copy(), read(tmp_path), RULE), before)


def test_whole_photos_stay_whole(tmp_path):
    rule = RULE.replace(mode="full_image")
    table = reviewed_boxes.apply(
        cropping.select_boxes(PHOTOS, DETECTED, rule), read(tmp_path, (A, "box", "1 2 21 30")), rule
    )
    assert not table["is_cropped"].any()


def test_a_box_ends_inside_its_photo(tmp_path):
    assert read(tmp_path, (A, "box", "1 2 41 30"))[A].tolist() == [1, 2, 40, 30]
    with pytest.raises(
        TableError, match=f"photo {A}: expected a box inside its 40 x 30 pixels, found `1 2 60 30`; draw"
    ):
        read(tmp_path, (A, "box", "1 2 60 30"))


def test_decisions_of_other_kinds_are_no_boxes(tmp_path):
    assert read(tmp_path, (A, "label", "x"), (B, "no_mask", "")) == {}
    assert isinstance(read(tmp_path, (A, "box", "1 2 3 4"))[A], np.ndarray)
