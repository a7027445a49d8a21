import numpy as np
import pytest

from stages.ensemble import selective
from stages.ensemble.selective import RankedPredictions
from stages.ensemble.settings import AbstainSettings


def bound(n_wrong, n, confidence):
    return float(selective.upper_bounds(np.array([n_wrong]), np.array([n]), confidence)[0])


def predicted(*pairs, groups=None):
    confidence, correct = zip(*pairs) if pairs else ((), ())
    names = groups or [str(number) for number in range(len(pairs))]
    return RankedPredictions(np.array(confidence, dtype=float), np.array(correct, dtype=bool), names)


def many(n, n_wrong_last, confidence=0.9):
    """`n` photos of falling confidence, the last ones wrong."""
    return predicted(*((confidence - 0.001 * number, number < n - n_wrong_last) for number in range(n)))


def test_the_curve_by_hand_and_equal_confidences_are_one_point():
    curve = selective.risk_coverage(predicted((0.5, False), (0.9, True), (0.7, True), (0.7, False)))
    assert curve.to_numpy().tolist() == [[0.9, 0.25, 0.0], [0.7, 0.75, pytest.approx(1 / 3)], [0.5, 1.0, 0.5]]
    assert selective.risk_coverage(predicted()).empty
    assert list(selective.risk_coverage(predicted()).columns) == ["threshold", "coverage", "risk"]


def test_the_area_is_the_mean_risk():
    assert selective.area(predicted((0.9, True), (0.8, False))) == pytest.approx((0 + 1 / 2) / 2)
    assert selective.area(predicted((0.9, True), (0.8, True))) == 0


def test_the_bound_is_that_of_clopper_and_pearson():
    # Without errors it is 1 - (1 - confidence) ** (1 / n): Clopper & Pearson 1934.
    assert bound(0, 22, 0.9) == pytest.approx(1 - 0.1 ** (1 / 22))
    # The binomial probability of one or fewer errors at the bound is 1 - confidence.
    found = bound(1, 30, 0.9)
    assert (1 - found) ** 30 + 30 * found * (1 - found) ** 29 == pytest.approx(0.1)
    assert bound(3, 3, 0.9) == bound(0, 0, 0.9) == 1


def test_the_threshold_is_the_lowest_before_the_first_that_fails():
    rule = AbstainSettings(max_risk=0.1, confidence=0.9)
    # 22 correct ones promise 0.1 with confidence 0.9; 50 correct and one wrong do, and two wrong ones do not.
    found = selective.choose_threshold(many(60, 10), rule)
    n_sure = int((many(60, 10).confidence >= found.value).sum())
    assert bound(n_sure - 50, n_sure, 0.9) == pytest.approx(found.bound) and found.bound <= 0.1
    assert bound(n_sure - 49, n_sure + 1, 0.9) > 0.1
    # Correct ones after the first failure do not count.
    late = predicted(*((0.9 - 0.001 * n, not 22 <= n < 40) for n in range(400)))
    assert (late.confidence >= selective.choose_threshold(late, rule).value).sum() < 40


def test_thresholds_are_those_of_counting_groups_one_by_one():
    rng = np.random.default_rng(1)
    for _ in range(20):
        confidence, correct = rng.integers(1, 40, 200) / 40, rng.random(200) < 0.95
        groups = rng.integers(0, 120, 200).astype(str).tolist()
        rule = AbstainSettings(max_risk=0.2, confidence=0.8)
        expected = None
        for value in sorted(set(confidence), reverse=True):
            chosen = confidence >= value
            trials = {name for name, is_chosen in zip(groups, chosen) if is_chosen}
            wrong = {name for name, is_chosen, right in zip(groups, chosen, correct) if is_chosen and not right}
            if bound(0, len(trials), 0.8) <= 0.2:
                if bound(len(wrong), len(trials), 0.8) > 0.2:
                    break
                expected = value
        assert selective.choose_threshold(RankedPredictions(confidence, correct, groups), rule).value == expected


def test_too_few_photos_or_too_many_errors_promise_nothing():
    rule = AbstainSettings(max_risk=0.1, confidence=0.9)
    assert selective.choose_threshold(many(21, 0), rule) == (None, None)
    assert selective.choose_threshold(many(22, 0), rule).value is not None
    assert selective.choose_threshold(many(60, 60), rule) == (None, None)
    assert selective.choose_threshold(predicted(), rule) == (None, None)


def test_near_duplicates_are_one_trial():
    rule = AbstainSettings(max_risk=0.1, confidence=0.9)
    pairs = [(0.9, True)] * 40
    assert selective.choose_threshold(predicted(*pairs), rule).value == 0.9
    assert selective.choose_threshold(predicted(*pairs, groups=["same"] * 40), rule).value is None
    mixed = [(0.9, True)] * 39 + [(0.9, False)]
    assert selective.choose_threshold(predicted(*mixed, groups=[str(n // 2) for n in range(40)]), rule).value is None


def test_the_promise_holds_as_often_as_it_says():
    rng = np.random.default_rng(0)
    rule = AbstainSettings(max_risk=0.1, confidence=0.8)
    broken = 0
    for _ in range(300):
        confidence = rng.uniform(0.5, 1, 150)
        # A prediction is wrong with the probability 2 (1 - confidence) ** 2, so the risk above a threshold is known.
        correct = rng.random(150) >= 2 * (1 - confidence) ** 2
        found = selective.choose_threshold(RankedPredictions(confidence, correct, [str(n) for n in range(150)]), rule)
        risk = 0 if found.value is None else 2 / 3 * (1 - found.value) ** 2
        broken += risk > rule.max_risk
    assert broken / 300 < 0.25


def test_what_it_does_on_test():
    rule = AbstainSettings(max_risk=0.1, confidence=0.9)
    test = predicted((0.99, True), (0.95, False), (0.2, False), (0.1, True))
    found = selective.figures(many(60, 0), test, rule)
    assert found["threshold"] == pytest.approx(0.841) and found["bound"] < 0.1
    assert found["test"] == {"n": 2, "coverage": 0.5, "risk": 0.5, "is_kept": False}
    assert selective.figures(many(5, 0), test, rule)["test"] == {"n": 0, "coverage": 0.0}
    assert selective.figures(predicted(), test, None) == {"area": {"test": selective.area(test)}}
