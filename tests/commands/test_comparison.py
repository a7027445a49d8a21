import numpy as np
import pandas as pd
import pytest

from stages.commands import comparison
from stages.commands.grid import Grid

GRID = Grid(
    question="Which?",
    target="evaluate@a",
    predictions="p.csv",
    baseline="old",
    seeds=(0, 1),
    common=(),
    arms={"old": (), "new": ("train.epochs=3",), "none": ()},
)


def outcomes(right, losses, ids="abcd"):
    frame = pd.DataFrame({"right": np.array(right, bool), "log_loss": losses}, index=list(ids))
    return frame.assign(group=list(ids))


def table():
    return comparison.table(
        {
            ("old", 0): outcomes([1, 0, 0, 0], [0.2, 1.0, 1.0, 1.0]),
            ("old", 1): outcomes([1, 1, 0, 0], [0.4, 0.4, 1.0, 1.0]),
            ("new", 0): outcomes([1, 1, 1, 0], [0.3, 0.7, 0.0, 1.0]),
        },
        GRID,
    )


def test_arms_without_runs_are_left_out_and_the_rest_are_averaged_over_their_seeds():
    rows = table().set_index("arm")
    assert list(rows.index) == ["old", "new"] and rows["overrides"].tolist() == ["", "train.epochs=3"]
    old = rows.loc["old"]
    assert (old["seeds"], old["n"], old["accuracy"]) == (2, 4, pytest.approx(0.375))
    assert (old["accuracy_lowest"], old["accuracy_highest"]) == (0.25, 0.5)
    assert old["log_loss"] == pytest.approx((0.8 + 0.7) / 2)


def test_differences_are_taken_photo_by_photo_from_the_means_of_the_seeds():
    new = table().set_index("arm").loc["new"]
    # right: 1-1, 1-0.5, 1-0, 0-0; log loss: 0.3-0.3, 0.7-0.7, 0-1, 1-1
    assert new["accuracy_gain"] == pytest.approx(1.5 / 4) and new["log_loss_gain"] == pytest.approx(-0.25)
    assert new["accuracy_gain_low"] <= 0.375 <= new["accuracy_gain_high"] <= 1
    assert table().set_index("arm").loc["old", "accuracy_gain"] == 0


def test_without_a_run_of_the_baseline_there_are_no_differences():
    rows = comparison.table({("new", 0): outcomes([1, 0, 0, 1], [0.1, 1.0, 1.0, 0.1])}, GRID)
    assert rows["arm"].tolist() == ["new"] and "accuracy_gain" not in rows
    text = comparison.markdown(rows, GRID, "x")
    assert "| new | `train.epochs=3` | 0.500 (0.500 to 0.500, 1) |  | 0.550 |  |" in text


def test_the_page_has_a_line_for_each_arm_and_marks_the_baseline():
    text = comparison.markdown(table(), GRID, "two_words")
    assert text.startswith("# Which?\n") and "| **old** |  | 0.375 (0.250 to 0.500, 2) |  | 0.750 |  |" in text
    assert "| +0.375 (" in text and "| -0.250 (" in text and "n = 4 test photos" in text
    assert "`two-words-<arm>-<seed>`" in text
