import numpy as np
import pytest

from stages.crop.settings import CropSettings
from stages.schemas.crops import REJECTION_REASONS
from stages.selection import main_car
from stages.selection.main_car import Candidates, PhotoSet, Selection

RULE = CropSettings(
    mode="box",
    classes=("car", "truck"),
    min_score=0.1,
    min_area=0.01,
    min_aspect=0.9,
    max_aspect=4.5,
    max_runner_up_ratio=1.0,
    margin=0.05,
    on_no_box="full_image",
    max_side=500,
)
SIZE = (100, 100)


def choose(rows, rule=RULE, size_wh=SIZE):
    corners = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    scores, names = np.array([row[1] for row in rows]), np.array([row[2] for row in rows], dtype=object)
    before = corners.copy()
    choice = main_car.select_box(Candidates(corners, scores, names), size_wh, rule)
    np.testing.assert_array_equal(corners, before)
    return choice


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], Selection(None, "no_vehicle", 0)),
        ([((0, 0, 50, 50), 0.9, "bus")], Selection(None, "other_class", 0)),
        ([((0, 0, 50, 50), 0.1, "person")], Selection(None, "other_class", 0)),
        ([((0, 0, 50, 50), 0.0999, "person")], Selection(None, "no_vehicle", 0)),
        ([((0, 0, 50, 50), 0.0999, "car"), ((0, 0, 50, 50), 0.9, "bus")], Selection(None, "low_score", 0)),
        ([((0, 0, 9, 11), 0.9, "car")], Selection(None, "too_small", 1)),
        ([((0, 0, 10, 10), 0.1, "car")], Selection(0, "", 1)),
        ([((0, 0, 10, 10), 0.1, "truck")], Selection(0, "", 1)),
        ([((0, 0, 0, 0), 0.9, "car")], Selection(None, "too_small", 1)),
    ],
)
def test_each_reason_and_both_limits(rows, expected):
    assert choose(rows) == expected


def test_the_main_car_has_the_largest_score_times_root_of_area():
    small = ((0, 0, 20, 20), 0.9, "car")  # 0.9 x 20 = 18
    large = ((40, 40, 90, 80), 0.41, "truck")  # 0.41 x 44.7 = 18.3
    assert choose([small, large]) == Selection(1, "", 2, 0.9817)
    assert choose([large, small]) == Selection(0, "", 2, 0.9817)
    assert choose([small, ((40, 40, 90, 80), 0.40, "truck")]) == Selection(0, "", 2, 0.9938)  # 17.9
    assert choose([small, ((0, 0, 100, 100), 1.0, "bus")]) == Selection(0, "", 1)


def test_of_equals_the_first_is_taken():
    rows = [((0, 0, 20, 20), 0.5, "car"), ((50, 50, 70, 70), 0.5, "car")]
    assert choose(rows).index == 0 and choose(rows[::-1]).index == 0


def test_one_vehicle_detected_as_two_classes_counts_once():
    one = [((10, 10, 60, 60), 0.9, "car"), ((11, 10, 61, 60), 0.6, "truck")]
    assert choose(one).n_vehicles == 1
    assert choose([*one, ((70, 70, 99, 99), 0.05, "car")]).n_vehicles == 1
    assert choose([*one, ((70, 70, 99, 99), 0.2, "car")]).n_vehicles == 2
    assert (
        choose([((0, 0, 10, 10), 0.9, "car"), ((0, 0, 10, 6), 0.8, "car")]).n_vehicles == 2
    )  # overlap by 0.6, no more
    assert len(main_car.distinct_vehicles(np.empty((0, 4)), np.empty(0), np.empty(0))) == 0


def test_a_runner_up_of_similar_rank_is_reported_and_rejected_beyond_the_limit():
    two = [((0, 0, 20, 20), 0.9, "car"), ((40, 40, 60, 60), 0.45, "truck"), ((41, 40, 60, 60), 0.4, "car")]
    assert choose(two) == Selection(0, "", 2, 0.5)
    assert choose(two, RULE.replace(max_runner_up_ratio=0.5)) == Selection(None, "several_cars", 2, 0.5)
    assert choose(two, RULE.replace(max_runner_up_ratio=0.51)) == Selection(0, "", 2, 0.5)
    assert choose(two[:1], RULE.replace(max_runner_up_ratio=0.0)) == Selection(None, "several_cars", 1, 0.0)
    assert choose([two[0], two[0]]) == Selection(0, "", 1, 0.0)  # the same vehicle twice


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
def test_a_box_cut_by_the_frame_needs_the_aspect_of_a_whole_car(box, reason):
    assert choose([(box, 0.9, "car")]).reason == reason


def test_every_reason_is_in_the_list():
    assert REJECTION_REASONS == (
        "no_vehicle", "other_class", "low_score", "too_small", "cut_by_frame", "several_cars",
    )  # fmt: skip


def test_the_window_is_the_widened_box_inside_the_photo_or_all_of_it():
    box = np.array([10.5, 20, 30.5, 40])
    assert main_car.crop_window(box, SIZE, 0.05) == (9, 19, 32, 41)
    assert main_car.crop_window(box, SIZE, 0) == (10, 20, 31, 40)
    assert main_car.crop_window(np.array([0, 0, 100, 100]), SIZE, 0.5) == (0, 0, 100, 100)
    assert main_car.crop_window(None, (1, 500), 0.5) == (0, 0, 1, 500)


def test_a_rule_without_area_takes_the_smallest_box():
    assert choose([((0, 0, 1, 1), 0.1, "car")], RULE.replace(min_area=0.0)) == Selection(0, "", 1)


@pytest.mark.parametrize("changes", [{}, {"max_runner_up_ratio": 0.7}, {"min_score": 0.4, "min_area": 0.1}])
@pytest.mark.parametrize("at_once", [7, 10_000])
def test_photos_together_have_the_outcomes_of_each_alone(monkeypatch, at_once, changes):
    """Also with ties of rank, boxes that touch edges, and photos without any box."""
    rng, rule = np.random.default_rng(0), RULE.replace(**changes)
    numbers = [int(n) for n in rng.integers(0, 9, 60)]
    corners = np.sort(rng.integers(0, 11, (sum(numbers), 2, 2)) * 10.0, axis=1).reshape(-1, 4)
    scores, classes = rng.choice([0.1, 0.4, 0.9], len(corners)), rng.integers(0, 3, len(corners))
    names, photo = np.array(["car", "truck", "bus"], dtype=object), np.repeat(np.arange(60), numbers)
    monkeypatch.setattr(main_car, "_PHOTOS_AT_ONCE", at_once)
    found = main_car.select(PhotoSet(corners, scores, classes, names, photo, np.full((60, 2), 100.0)), rule)
    for number in range(60):
        rows = np.flatnonzero(photo == number)
        alone = choose(list(zip(corners[rows], scores[rows], names[classes[rows]])), rule)
        index = None if found.index[number] < 0 else int(found.index[number] - rows[0])
        ratio, n_vehicles = float(found.runner_up_ratio[number]), int(found.n_vehicles[number])
        assert Selection(index, found.reason[number], n_vehicles, ratio) == alone
    assert len(set(found.reason)) > 2 and found.n_vehicles.max() > 2


def test_greedy_choice_of_distinct_vehicles_by_hand():
    """A box that overlaps only one that was dropped stays: 10 pixels apart they overlap by 2/3, 20 apart by 3/7."""
    corners = np.array([(0, 0, 50, 50), (10, 0, 60, 50), (20, 0, 70, 50), (10, 0, 60, 50)], np.float64)
    ranks, photo = np.array([3.0, 2, 1, 5]), np.array([0, 0, 0, 1])
    assert main_car.distinct_vehicles(corners, ranks, photo).tolist() == [0, 2, 3]
