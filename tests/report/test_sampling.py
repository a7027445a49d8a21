import pandas as pd

from stages.report.sampling import sample

ROWS = pd.DataFrame({"image_id": list("hgfedcba"), "path": list("12345678")}, index=[5, 3, 8, 1, 9, 2, 7, 4])


def test_few_rows_are_all_shown():
    assert sample(ROWS, 8, 1) is ROWS
    assert len(sample(ROWS[:0], 8, 1)) == 0


def test_the_order_stays_and_the_seed_decides():
    drawn = sample(ROWS, 3, 1)
    assert len(drawn) == 3
    assert drawn.index.tolist() == [place for place in ROWS.index if place in drawn.index]
    assert drawn.equals(sample(ROWS, 3, 1))
    assert len({tuple(sample(ROWS, 3, seed).index) for seed in range(20)}) > 1


def test_a_photo_less_changes_no_other_choice():
    drawn = sample(ROWS, 3, 1)
    passed_over = next(place for place in ROWS.index if place not in drawn.index)
    assert sample(ROWS.drop(passed_over), 3, 1).equals(drawn)


def test_rows_may_come_in_another_order():
    assert set(sample(ROWS[::-1], 3, 1).index) == set(sample(ROWS, 3, 1).index)
