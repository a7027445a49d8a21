"""A novelty detector of an ensemble: one score of every member, standardised on val and averaged, and a threshold.

The mean of standardised scores keeps how far a photo is beyond those of val; that of ranks would call all photos beyond
the last one of val alike.
"""

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.core import arrays
from stages.core.errors import UserError
from stages.novelty.scores import SCORES, Reference
from stages.novelty.settings import NoveltySettings
from stages.scoring.network_outputs import NetworkOutputs

# By the model's name.
MemberOutputs = Mapping[str, NetworkOutputs]
_LEAST_SPREAD = 1e-12


class MemberNovelty(NamedTuple):
    """What a model's score compares with, and the mean and the standard deviation of its scores of val."""

    reference: Reference
    mean: float
    spread: float


class NoveltyDetector(NamedTuple):
    """A score of `SCORES`, its members by name, and the novelty above which a photo is unknown; infinity for none."""

    score: str
    members: dict[str, MemberNovelty]
    threshold: float = math.inf

    def __call__(self, outputs: MemberOutputs) -> np.ndarray:
        """The novelty (N,) float64 of photos, in standard deviations of val: the mean of all members."""
        score = SCORES[self.score].score
        standardised = [
            (score(outputs[name], member.reference) - member.mean) / member.spread
            for name, member in self.members.items()
        ]
        return np.asarray(np.mean(standardised, axis=0))


def fit(train: MemberOutputs, labels: np.ndarray, val: MemberOutputs, rule: NoveltySettings) -> NoveltyDetector:
    """Fit on outputs for train, with labels (N,), and for at least one photo of val; the threshold is infinity."""
    score, rows = SCORES[rule.score], np.arange(len(labels))
    if score.compares_photos:
        rows = spread_evenly(len(labels), rule.max_photos)
    members = {}
    for name, outputs in train.items():
        reference = score.fit(outputs.select(rows), labels[rows], rule.neighbours)
        scores = score.score(val[name], reference)
        members[name] = MemberNovelty(reference, float(scores.mean()), max(float(scores.std()), _LEAST_SPREAD))
    return NoveltyDetector(rule.score, members)


def spread_evenly(n_photos: int, n_wanted: int) -> np.ndarray:
    """At most `n_wanted` numbers of 0..n_photos-1, evenly apart: of photos sorted by hash, a random sample."""
    return np.arange(n_photos) if n_photos <= n_wanted else np.arange(n_wanted) * n_photos // n_wanted


def conformal_threshold(novelty: np.ndarray, groups: Sequence[str], max_false_alarms: float) -> float:
    """The threshold that a further known photo exceeds with a probability of at most `max_false_alarms`.

    The ceil((n + 1)(1 - a))-th smallest novelty of n groups (Bates et al. 2023, arXiv:2104.08279, section 2.1; the
    probability is over val too). Of a group of near-duplicates the most novel photo counts. Infinity for too few.
    """
    names, numbers = np.unique(np.array(groups, dtype=object), return_inverse=True)
    by_group = np.full(len(names), -np.inf)
    np.maximum.at(by_group, numbers, novelty)
    by_group.sort()
    # Rounded, for 20 x 0.95 is more than 19.
    place = math.ceil(round((len(by_group) + 1) * (1 - max_false_alarms), 9))
    return float(by_group[place - 1]) if place <= len(by_group) else math.inf


def write(path: Path, detector: NoveltyDetector | None) -> None:
    """Write a detector as arrays, or a file of none; the same detector gives the same bytes."""
    arrays.write(path, {} if detector is None else dict(_to_arrays(detector)))


def _to_arrays(detector: NoveltyDetector) -> Iterator[tuple[str, np.ndarray]]:
    yield "score", np.array(detector.score)
    yield "threshold", np.array(detector.threshold)
    for name, member in detector.members.items():
        yield f"{name}/scale", np.array([member.mean, member.spread])
        yield from ((f"{name}/{key}", value) for key, value in member.reference.items())


def read(path: Path) -> NoveltyDetector | None:
    """Read a detector; None from a file of none. Raises UserError for a damaged file or one of another kind."""
    try:
        # `numpy.load` leaves a damaged file open.
        with path.open("rb") as stream, np.lib.npyio.NpzFile(stream, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        return _of_arrays(content) if content else None
    except FileNotFoundError:
        raise UserError(f"{path}: expected a novelty detector, found none; run `dvc repro novelty`") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: expected a novelty detector, found: {error}; delete it and run `dvc repro novelty`"
        ) from None


def _of_arrays(content: Mapping[str, np.ndarray]) -> NoveltyDetector:
    score = str(content["score"])
    if score not in SCORES:
        raise ValueError(f"the score {score!r}")
    names = [key.removesuffix("/scale") for key in content if key.endswith("/scale")]
    members = {}
    for name in names:
        prefix = f"{name}/"
        reference = {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}
        mean, spread = reference.pop("scale").tolist()
        members[name] = MemberNovelty(reference, mean, spread)
    return NoveltyDetector(score, members, float(content["threshold"]))
