from dataclasses import replace

import numpy as np
import pytest

from stages.imaging import selection
from stages.imaging.selection import Candidates, Choice, CropParams

RULE = CropParams(
    region="car",
    classes=("car", "truck"),
    min_score=0.1,
    min_area=0.01,
    min_aspect=0.9,
    max_aspect=4.5,
    max_rival=1.0,
    margin=0.05,
    rejected="whole",
)
SIZE = (100, 100)


def choose(rows, rule=RULE, size_wh=SIZE):
    corners = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    scores, names = np.array([row[1] for row in rows]), np.array([row[2] for row in rows], dtype=object)
    before = corners.copy()
    choice = selection.choose(Candidates(corners, scores, names), size_wh, rule)
    np.testing.assert_array_equal(corners, before)
    return choice


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], Choice(None, "no_vehicle", 0)),
        ([((0, 0, 50, 50), 0.9, "bus")], Choice(None, "other_class", 0)),
        ([((0, 0, 50, 50), 0.1, "person")], Choice(None, "other_class", 0)),
        ([((0, 0, 50, 50), 0.0999, "person")], Choice(None, "no_vehicle", 0)),
        ([((0, 0, 50, 50), 0.0999, "car"), ((0, 0, 50, 50), 0.9, "bus")], Choice(None, "low_score", 0)),
        ([((0, 0, 9, 11), 0.9, "car")], Choice(None, "too_small", 1)),
        ([((0, 0, 10, 10), 0.1, "car")], Choice(0, "", 1)),
        ([((0, 0, 10, 10), 0.1, "truck")], Choice(0, "", 1)),
        ([((0, 0, 0, 0), 0.9, "car")], Choice(None, "too_small", 1)),
    ],
)
def test_each_reason_and_both_limits(rows, expected):
    assert choose(rows) == expected


def test_the_main_car_has_the_largest_score_times_root_of_area():
    small = ((0, 0, 20, 20), 0.9, "car")  # 0.9 x 20 = 18
    large = ((40, 40, 90, 80), 0.41, "truck")  # 0.41 x 44.7 = 18.3
    assert choose([small, large]) == Choice(1, "", 2, 0.9817)
    assert choose([large, small]) == Choice(0, "", 2, 0.9817)
    assert choose([small, ((40, 40, 90, 80), 0.40, "truck")]) == Choice(0, "", 2, 0.9938)  # 17.9
    assert choose([small, ((0, 0, 100, 100), 1.0, "bus")]) == Choice(0, "", 1)


def test_of_equals_the_first_is_taken():
    rows = [((0, 0, 20, 20), 0.5, "car"), ((50, 50, 70, 70), 0.5, "car")]
    assert choose(rows).index == 0 and choose(rows[::-1]).index == 0


def test_one_vehicle_seen_as_two_classes_counts_once():
    one = [((10, 10, 60, 60), 0.9, "car"), ((11, 10, 61, 60), 0.6, "truck")]
    assert choose(one).n_vehicles == 1
    assert choose([*one, ((70, 70, 99, 99), 0.05, "car")]).n_vehicles == 1
    assert choose([*one, ((70, 70, 99, 99), 0.2, "car")]).n_vehicles == 2
    assert (
        choose([((0, 0, 10, 10), 0.9, "car"), ((0, 0, 10, 6), 0.8, "car")]).n_vehicles == 2
    )  # overlap by 0.6, no more
    assert selection.vehicles(np.empty((0, 4)), np.empty(0)) == []


def test_a_rival_of_like_rank_is_told_and_refused_where_the_rule_says_so():
    two = [((0, 0, 20, 20), 0.9, "car"), ((40, 40, 60, 60), 0.45, "truck"), ((41, 40, 60, 60), 0.4, "car")]
    assert choose(two) == Choice(0, "", 2, 0.5)
    assert choose(two, replace(RULE, max_rival=0.5)) == Choice(None, "several_cars", 2, 0.5)
    assert choose(two, replace(RULE, max_rival=0.51)) == Choice(0, "", 2, 0.5)
    assert choose(two[:1], replace(RULE, max_rival=0.0)) == Choice(None, "several_cars", 1, 0.0)
    assert choose([two[0], two[0]]) == Choice(0, "", 1, 0.0)  # the same vehicle twice


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((0, 10, 17, 30), "cut_by_frame"),  # 0.85 times as wide as high, at the left edge
        ((1, 10, 18, 30), "cut_by_frame"),  # 1 % of the photo's width from the edge
        ((1.1, 10, 18.1, 30), ""),
        ((83, 10, 100, 30), "cut_by_frame"),
        ((0, 10, 18, 30), ""),  # 0.9 times
        ((10, 0, 27, 20), ""),  # as narrow, but at the upper edge
        ((10, 90, 56, 100), "cut_by_frame"),  # 4.6 times as wide as high, at the lower edge
        ((10, 90, 55, 100), ""),
        ((0, 50, 46, 60), ""),  # as flat, but at the left edge
        ((10, 50, 56, 60), ""),  # as flat, at no edge
        ((0, 0, 100, 100), ""),
    ],
)
def test_what_the_frame_cuts_must_look_like_a_whole_car(box, reason):
    assert choose([(box, 0.9, "car")]).reason == reason


def test_every_reason_is_in_the_list():
    assert selection.REASONS == (
        "no_vehicle", "other_class", "low_score", "too_small", "cut_by_frame", "several_cars",
    )  # fmt: skip


def test_the_window_is_the_widened_box_inside_the_photo_or_all_of_it():
    box = np.array([10.5, 20, 30.5, 40])
    assert selection.window(box, SIZE, 0.05) == (9, 19, 32, 41)
    assert selection.window(box, SIZE, 0) == (10, 20, 31, 40)
    assert selection.window(np.array([0, 0, 100, 100]), SIZE, 0.5) == (0, 0, 100, 100)
    assert selection.window(None, (1, 500), 0.5) == (0, 0, 1, 500)


@pytest.mark.parametrize(("size_wh", "box"), [((40, 30), (25, 20, 35, 30)), ((40, 30), None), ((500, 1), None)])
def test_the_cut_is_a_copy_of_that_part(corners, size_wh, box):
    photo = corners(*size_wh)
    before = photo.copy()
    found = selection.cut(photo, None if box is None else np.array(box, np.float64), 0)
    x_min, y_min, x_max, y_max = box or (0, 0, *size_wh)
    np.testing.assert_array_equal(found, before[y_min:y_max, x_min:x_max])
    found[:] = 9
    np.testing.assert_array_equal(photo, before)


def test_a_rule_without_area_takes_the_smallest_box():
    assert choose([((0, 0, 1, 1), 0.1, "car")], replace(RULE, min_area=0.0)) == Choice(0, "", 1)
