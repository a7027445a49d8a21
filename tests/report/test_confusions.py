import numpy as np

from stages.report.confusions import confused_pairs, most_confused, worst_first
from stages.report.counts import recalls

CLASSES = ["a", "b", "c"]
# Of a, 1 of 4 is right; of b, 2 of 4; of c, none of 2 and then no photo.
MATRIX = np.array([[1, 3, 0], [1, 2, 1], [0, 2, 0]])


def test_pairs_are_counted_both_ways_and_the_most_frequent_come_first():
    pairs = confused_pairs(MATRIX, CLASSES)
    assert [tuple(pair) for pair in pairs] == [("a", "b", 3, 1), ("c", "b", 2, 1)]
    assert [pair.times for pair in pairs] == [4, 3]


def test_equally_frequent_pairs_keep_the_order_of_the_classes():
    matrix = np.ones((3, 3), int)
    assert [pair[:2] for pair in confused_pairs(matrix, CLASSES)] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_without_errors_and_without_photos_there_are_no_pairs():
    assert confused_pairs(np.diag([3, 2, 1]), CLASSES) == []
    assert confused_pairs(np.zeros((0, 0), int), []) == []


def test_the_worst_class_comes_first_and_classes_without_photos_last():
    matrix = np.array([[1, 1, 0, 0], [2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 5]])
    # a has a recall of 1/2 with one wrong photo, b with two; c has no photo.
    assert [row.label for row in worst_first(recalls(matrix, ["a", "b", "c", "d"]))] == ["b", "a", "d", "c"]
    assert worst_first([]) == []


def test_the_classes_of_the_most_confused_pairs_are_chosen_while_both_fit():
    pairs = confused_pairs(MATRIX, CLASSES)
    assert most_confused(pairs, 3) == {"a", "b", "c"}
    # The second pair adds one class, which has no place.
    assert most_confused(pairs, 2) == {"a", "b"}
    assert most_confused(pairs, 1) == most_confused([], 5) == set()
