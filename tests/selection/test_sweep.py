import numpy as np

from stages.crop.settings import CropSettings
from stages.selection import sweep
from stages.selection.main_car import PhotoSet

RULE = CropSettings(
    mode="box",
    classes=("car",),
    min_score=0.1,
    min_area=0.01,
    min_aspect=0.9,
    max_aspect=4.5,
    max_runner_up_ratio=0.9,
    margin=0.0,
    on_no_box="full_image",
    max_side=1024,
)


def photos(*boxes):
    """Photos of 100 x 100 pixels with one car each, or none."""
    rows = [(number, *box) for number, box in enumerate(boxes) if box]
    corners = np.array([row[1] for row in rows], np.float64).reshape(-1, 4)
    classes, names = np.zeros(len(rows), int), np.array(["car"], dtype=object)
    number = np.array([row[0] for row in rows], int)
    return PhotoSet(
        corners, np.array([row[2] for row in rows]), classes, names, number, np.full((len(boxes), 2), 100.0)
    )


ALL = photos(((10, 10, 50, 50), 0.62), ((20, 20, 50, 50), 0.22), None)
TRUE_BOXES = np.array([[10.0, 10, 50, 50], [60, 60, 90, 90], [0, 0, 50, 50]])


def test_counts_reasons_recall_and_precision():
    counts = sweep.count_outcomes(ALL, RULE, TRUE_BOXES)
    assert counts == {
        "photos": 3, "cropped": 2, "share_cropped": 0.6667, "no_vehicle": 1, "other_class": 0, "low_score": 0,
        "too_small": 0, "cut_by_frame": 0, "several_cars": 0, "recall_50": 0.3333, "precision_50": 0.5,
    }  # fmt: skip


def test_each_threshold_is_moved_alone_and_the_current_one_is_marked():
    tables = sweep.sweep_thresholds(ALL, RULE, TRUE_BOXES)
    assert set(tables) == set(sweep.GRID)
    by_score = tables["min_score"].set_index("value")
    assert by_score.index.is_monotonic_increasing and by_score.index[by_score["is_current"]].tolist() == [0.1]
    assert by_score.loc[[0.1, 0.2, 0.25, 0.6, 0.7], "cropped"].tolist() == [2, 2, 1, 1, 0]
    assert by_score.loc[[0.1, 0.2, 0.25, 0.6, 0.7], "low_score"].tolist() == [0, 0, 1, 1, 2]
    assert tables["min_area"].set_index("value").loc[[0.05, 0.1, 0.15, 0.2], "too_small"].tolist() == [0, 1, 1, 2]


def test_a_value_of_the_rule_that_the_grid_lacks_is_in_the_table():
    table = sweep.sweep_thresholds(ALL, RULE.replace(min_score=0.33))["min_score"]
    assert table.loc[table["is_current"], "value"].tolist() == [0.33]


def test_without_true_boxes_or_photos_there_are_no_such_figures():
    assert "recall_50" not in sweep.count_outcomes(ALL, RULE)
    assert sweep.count_outcomes(photos(), RULE, np.empty((0, 4)))["share_cropped"] == 0.0
