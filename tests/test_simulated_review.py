"""The simulated review of `benchmarks/audit`: figures worked out by hand, and its chart."""

import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from benchmarks.audit import label_swaps, review_chart, simulated_review
from stages.probe.linear_probe import Features
from stages.probe.settings import ProbeSettings


def test_a_simulated_reviewer_finds_the_swaps_at_the_top_of_the_list():
    doubt = np.array([0.1, 0.9, 0.5, 0.5, 0.2, 0.8, 0.0, 0.3, 0.4, 0.6])
    is_swap = np.isin(np.arange(10), [1, 2, 3, 6])
    # In the order of the list: 1, 5, 9, 2, 3, 8, 7, 4, 0, 6.
    found = [simulated_review.found(doubt, is_swap, share) for share in (0.0, 0.1, 0.3, 0.4, 0.5, 0.9, 1.0)]
    assert found == [0, 0.25, 0.25, 0.5, 0.75, 0.75, 1]


def test_a_simulated_reviewer_corrects_the_first_photos_only():
    truth, labels = np.array([0, 1, 2, 0]), np.array([1, 1, 0, 2])
    doubt = np.array([0.2, 0.9, 0.6, 0.7])
    # In the order of the list: 1, 3, 2, 0; photo 1 was right.
    corrected = [simulated_review.correct(labels, truth, doubt, share).tolist() for share in (0, 0.25, 0.5, 0.75, 1)]
    assert corrected == [[1, 1, 0, 2], [1, 1, 0, 2], [1, 1, 0, 0], [1, 1, 2, 0], [0, 1, 2, 0]]
    assert labels.tolist() == [1, 1, 0, 2]


def outcomes(nothing, listed, random):
    """A draw that ends with these shares found and predicted classes of four photos, at half of the photos."""

    def outcome(share, predicted):
        return simulated_review.Outcome(share, np.where(np.eye(3, dtype=bool)[predicted], 0.8, 0.1))

    floor = outcome(0, nothing)
    at_half = {("listed", 0.5): outcome(0.75, listed), ("random", 0.5): outcome(0.25, random)}
    return {("listed", 0.0): floor, ("random", 0.0): floor} | at_half


def test_gains_of_a_simulated_review():
    test = Features(np.zeros((4, 1), np.float32), np.array([0, 1, 2, 0]), ["a", "b", "c", "c"])
    ceiling = np.eye(3)[[0, 1, 2, 0]]
    draws = [outcomes([1, 2, 2, 1], [0, 1, 2, 1], [1, 1, 2, 1]), outcomes([0, 2, 2, 1], [0, 2, 2, 0], [0, 2, 2, 1])]
    table = simulated_review.summarise(draws, ceiling, test).set_index(["order", "share"])
    # Correct of eight: 3 with nothing corrected, 6 in the listed order, 4 in random order.
    listed, random = table.loc["listed", 0.5], table.loc["random", 0.5]
    assert [listed["accuracy"], random["accuracy"]] == [0.75, 0.5]
    assert [listed["regained"], random["regained"]] == pytest.approx([3 / 5, 1 / 5])
    assert [listed["over_nothing_accuracy"], listed["over_random_accuracy"]] == [0.375, 0.25]
    # Draw by draw 2/4 and 1/4: the standard error is half of the difference.
    assert listed["over_nothing_spread"] == pytest.approx(0.125)
    assert listed["over_nothing_log_loss"] == pytest.approx(-3 * np.log(8) / 8)
    # By photo 0.5, 0.5, 0, 0.5; the last two are near-duplicates, 0.25 together: means lie between 0.25 and 0.5.
    assert [listed["over_nothing_accuracy_low"], listed["over_nothing_accuracy_high"]] == [0.25, 0.5]
    assert table.loc["random", 0.5]["over_random_accuracy_high"] == 0
    lines = simulated_review.report(table.reset_index(), ceiling, test).splitlines()
    assert lines[1].startswith(
        "50% in listed order: 75% of the swaps found (75% to 75%), accuracy 0.750, log loss 0.743"
    )
    assert "over nothing: accuracy +0.375 (+0.250 to +0.500), standard error over the draws 0.125" in lines[2]


def test_a_review_that_changes_no_label_gains_nothing():
    test = Features(np.zeros((4, 1), np.float32), np.array([0, 1, 2, 0]), ["a", "b", "c", "d"])
    draws = [outcomes(*[[0, 1, 2, 1]] * 3)]
    table = simulated_review.summarise(draws, draws[0]["listed", 0.0].probabilities, test)
    gains = table.filter(regex="^over_.*(accuracy|log_loss)")
    assert gains.shape == (4, 12) and not gains.to_numpy().any()
    assert table["regained"].isna().all()


@pytest.mark.parametrize("n_train", [6, 30])
def test_features_in_the_span_of_train_give_the_same_probes(n_train):
    random = np.random.default_rng(0)
    train, test = (
        Features(random.normal(size=(n, 10)).astype(np.float32), np.arange(n) % 2, [str(k) for k in range(n)])
        for n in (n_train, 5)
    )
    photos = simulated_review.Photos([train], [test])
    narrow = simulated_review.in_span_of_train(photos)
    assert narrow.train[0].values.shape == (n_train, min(n_train, 10))
    rule = ProbeSettings()
    wide_probes, probes = (label_swaps.fit(one.train, train.labels, 2, rule) for one in (photos, narrow))
    assert probes[0].l2 == wide_probes[0].l2
    assert probes[0].out_of_fold == pytest.approx(wide_probes[0].out_of_fold, abs=1e-3)
    assert simulated_review.predict_test(probes, narrow.test) == pytest.approx(
        simulated_review.predict_test(wide_probes, photos.test), abs=1e-3
    )


def test_a_review_of_all_photos_in_any_order_ends_with_the_probes_of_correct_labels(monkeypatch):
    monkeypatch.setattr(simulated_review, "_SHARES", (0.5, 1.0))
    labels = np.arange(40) % 2
    values = (labels[:, None] + np.random.default_rng(1).normal(0, 0.2, (40, 3))).astype(np.float32)
    photos = simulated_review.Photos(*[[Features(values, labels, [str(k) for k in range(40)])]] * 2)
    rule = ProbeSettings()
    outcomes = simulated_review.review(photos, 2, rule, 0)
    ceiling = simulated_review.predict_test(label_swaps.fit(photos.train, labels, 2, rule), photos.test)
    for order in ("listed", "random"):
        assert outcomes[order, 0.0].found == 0 and outcomes[order, 1.0].found == 1
        assert (outcomes[order, 1.0].probabilities == ceiling).all()
    assert outcomes["listed", 0.5].found == 1


def test_the_chart_of_a_simulated_review_has_lines_of_both_orders_and_equal_bytes():
    test = Features(np.zeros((4, 1), np.float32), np.array([0, 1, 2, 0]), ["a", "b", "c", "d"])
    table = simulated_review.summarise(
        [outcomes([1, 2, 2, 1], [0, 1, 2, 1], [1, 1, 2, 1])], np.eye(3)[test.labels], test
    )
    svg = review_chart.draw(table, 1.0, 0.1)
    texts = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert {"listed order", "random order", "best order", "all corrected", "nothing corrected", "50 %"} <= set(texts)
    with matplotlib.rc_context({"font.size": 30}):
        assert review_chart.draw(table, 1.0, 0.1) == svg
