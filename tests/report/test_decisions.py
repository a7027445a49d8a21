"""Which decisions of people are in force, and what the page shows of them."""

import pandas as pd

from stages.report import decisions
from stages.schemas import corrections

ROWS = pd.DataFrame(
    {
        "image_id": ["a", "b", "c", "d", "e"],
        "path": ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"],
        "is_usable": [True, False, False, True, False],
        "split": ["train", "", "", "unlabelled", ""],
        "reason": ["", "dropped_by_review", "truncated", "", "not_a_car"],
    }
)


def table(*rows):
    return pd.DataFrame([(*row, "ann", "2026-01-02", "") for row in rows], columns=list(corrections.COLUMNS))


def test_decisions_are_in_force_on_photos_that_are_used_or_that_they_took_out():
    decided = table(*((name, "label", "x") for name in "abcdef"))
    found = decisions.summarise(decided, ROWS)
    assert [row.photo for row in found.in_force] == ["1.jpg", "2.jpg", "5.jpg"] and found.n_in_force == 3
    assert [row.photo for row in found.without_photo] == ["c", "d", "f"] and found.n_without_photo == 3
    assert found.in_force[0] == ("1.jpg", "label", "x", "ann", "2026-01-02")


def test_a_long_list_is_cut_and_counted():
    found = decisions.summarise(table(*(("a", "label", str(n)) for n in range(101))), ROWS)
    assert (len(found.in_force), found.n_in_force) == (100, 101)


def test_without_decisions_the_lists_are_empty():
    assert decisions.summarise(corrections.none(), ROWS) == (0, 0, [], [])
