import math

import numpy as np
import pytest

from stages.core import arrays
from stages.core.errors import UserError
from stages.novelty import detector
from stages.novelty.detector import ModelScore, NoveltyDetector
from stages.novelty.fitting import fit_threshold
from stages.novelty.scores import SCORES
from stages.novelty.settings import NoveltySettings
from stages.schemas.split_data import SplitData
from stages.scoring.network_outputs import NetworkOutputs

RULE = NoveltySettings(scores=("energy",), max_false_alarms=0.25)


def outputs(*energies):
    """Outputs of one class, whose logit is its energy with the other sign."""
    return NetworkOutputs(np.ones((len(energies), 2), np.float32), -np.array(energies, np.float32)[:, None])


def random_outputs(seed, n=30):
    rng = np.random.default_rng(seed)
    return NetworkOutputs(rng.normal(size=(n, 6)).astype(np.float32), rng.normal(size=(n, 3)).astype(np.float32))


def names(n):
    return [str(number) for number in range(n)]


@pytest.mark.parametrize(
    ("n", "share", "expected"), [(19, 0.05, 18), (18, 0.05, math.inf), (19, 0.1, 17), (3, 0.5, 1), (0, 0.5, math.inf)]
)
def test_the_conformal_threshold_by_hand(n, share, expected):
    # The novelties 0, 1, ...: of 19 and 0.05 the (20 x 0.95) = 19th, which is the last.
    order = np.random.default_rng(n).permutation(n)
    assert detector.conformal_threshold(order.astype(float), names(n), share) == expected


def test_a_group_counts_once_by_its_most_novel_photo():
    novelty = np.array([0.0, 9.0, 1.0, 2.0])
    assert detector.conformal_threshold(novelty, ["a", "a", "b", "c"], 0.5) == 2
    assert detector.conformal_threshold(novelty, ["a", "b", "c", "d"], 0.5) == 2
    assert detector.conformal_threshold(novelty, ["a", "a", "a", "b"], 0.5) == 9


def test_the_share_of_false_alarms_is_kept_on_average():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4000, 40))
    marked = [row[39] > detector.conformal_threshold(row[:39], names(39), 0.1) for row in draws]
    assert np.mean(marked) == pytest.approx(0.1, abs=0.015)  # three standard errors of 4000 trials


def test_members_count_alike_whatever_their_units():
    val = {"a": outputs(1, 3), "b": outputs(100, 300)}
    fitted = detector.fit(val, np.zeros(2, int), val, RULE)
    # Means 2 and 200, deviations 1 and 100.
    found = fitted({"a": outputs(2, 4), "b": outputs(200, 200)})
    np.testing.assert_allclose(found, [0, 1], atol=1e-6)


def test_scores_count_alike_by_hand():
    """Energies 1 and 3 of val have the mean 2 and deviation 1; the largest of one probability is always 1."""
    val = {"a": outputs(1, 3)}
    fitted = detector.fit(val, np.zeros(2, int), val, RULE.replace(scores=("energy", "max_softmax")))
    assert list(fitted.members["a"]) == ["energy", "max_softmax"]
    np.testing.assert_allclose(fitted({"a": outputs(2, 5)}), [0, 1.5], atol=1e-6)


def test_a_score_that_is_named_twice_is_refused():
    with pytest.raises(ValueError, match="expected each score once, found energy again"):
        NoveltySettings(scores=("energy", "max_softmax", "energy"))


def test_equal_scores_on_val_have_a_finite_novelty():
    fitted = detector.fit({"a": outputs(1)}, np.zeros(1, int), {"a": outputs(1)}, RULE)
    assert np.isfinite(fitted({"a": outputs(1, 2)})).all()


def test_of_many_photos_so_many_are_compared_with():
    assert detector.spread_evenly(10, 4).tolist() == [0, 2, 5, 7]
    assert detector.spread_evenly(3, 4).tolist() == [0, 1, 2] and detector.spread_evenly(0, 4).tolist() == []
    rule = RULE.replace(scores=("neighbours",), max_photos=7)
    fitted = detector.fit({"a": random_outputs(1)}, np.zeros(30, int), {"a": random_outputs(2)}, rule)
    assert fitted.members["a"]["neighbours"].reference["directions"].shape == (7, 6)


@pytest.mark.parametrize("names", [*((name,) for name in SCORES), ("max_softmax", "mahalanobis")])
def test_a_written_detector_reads_back_and_has_the_same_bytes(tmp_path, names):
    train, val = ({name: random_outputs(seed) for name in ("a", "b-2")} for seed in (1, 2))
    labels = np.arange(30) % 3
    fitted = detector.fit(train, labels, val, RULE.replace(scores=names))._replace(threshold=1.5)
    for name in ("one", "two"):
        detector.write(tmp_path / name, fitted)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found = detector.read(tmp_path / "one")
    assert found.threshold == 1.5 and list(found.members) == ["a", "b-2"]
    np.testing.assert_array_equal(found(val), fitted(val))


def test_a_file_of_no_detector_reads_as_none(tmp_path):
    detector.write(tmp_path / "novelty.npz", None)
    assert detector.read(tmp_path / "novelty.npz") is None


def test_damaged_files_and_those_of_another_kind_are_named(tmp_path):
    path = tmp_path / "novelty.npz"
    with pytest.raises(
        UserError, match=r"novelty\.npz: expected a novelty detector, found none; run `dvc repro novelty`"
    ):
        detector.read(path)
    detector.write(path, NoveltyDetector({"a": {"energy": ModelScore({}, 0.0, 1.0)}}, 1.0))
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[:-40], whole[:60] + b"\xff\xff" + whole[62:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="expected a novelty detector, found: "):
            detector.read(path)
    arrays.write(path, {"other": np.zeros(1)})
    with pytest.raises(UserError, match="expected a novelty detector, found: 'threshold'"):
        detector.read(path)
    arrays.write(path, {"threshold": np.array(1.0), "a/luck/scale": np.array([0.0, 1.0])})
    with pytest.raises(UserError, match="found: the score 'luck'"):
        detector.read(path)
    np.savez(path, threshold=np.array([print], dtype=object))
    with pytest.raises(UserError, match="Object arrays cannot be loaded"):
        detector.read(path)


def split(n, first=0):
    ids = [f"{number:02d}" for number in range(first, first + n)]
    return SplitData(ids, ids, np.zeros(n, int), ids)


def test_the_threshold_is_that_of_val_and_test_is_counted():
    by_split = {"train": {"a": outputs(0)}, "val": {"a": outputs(1, 2, 3)}, "test": {"a": outputs(0, 2, 3, 9)}}
    splits = {"train": split(1), "val": split(3, 10), "test": split(4, 20)}
    fitted = fit_threshold(by_split, splits, RULE, 0.25)
    # The third of three, 3: by 1 beyond the mean.
    assert fitted.detector.threshold == pytest.approx(1 / np.std([1, 2, 3]))
    assert fitted.details["val"] == {"n": 3, "unknown": 0, "false_alarms": 0}
    assert fitted.details["test"] == {"n": 4, "unknown": 1, "false_alarms": 0.25}


def test_too_few_photos_of_val_mark_none_and_no_photo_is_an_error():
    by_split = {"train": {"a": outputs(0)}, "val": {"a": outputs(1, 2)}}
    splits = {"train": split(1), "val": split(2, 10)}
    fitted = fit_threshold(by_split, splits, RULE, 0.05)
    assert (
        fitted.details["threshold"] is None and fitted.detector.threshold == math.inf and "test" not in fitted.details
    )
    with pytest.raises(UserError, match="expected photos of the split val, found none"):
        fit_threshold(by_split, {"train": split(1)}, RULE, 0.05)
