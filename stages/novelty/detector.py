"""A novelty detector of an ensemble: scores of every model, standardised on val and averaged, and a threshold.

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
from stages.novelty.scores import SCORES, NoveltyScore, Reference
from stages.novelty.settings import NoveltySettings
from stages.scoring.network_outputs import NetworkOutputs

# By the model's name.
MemberOutputs = Mapping[str, NetworkOutputs]
_LEAST_SPREAD = 1e-12


class ModelScore(NamedTuple):
    """What a score of a model compares with, and the mean and the standard deviation of its values for val."""

    reference: Reference
    mean: float
    spread: float


class NoveltyDetector(NamedTuple):
    """The scores of each of its `members`, models by name, by their name in `SCORES`, and a threshold.

    A photo whose novelty is above the threshold is unknown; infinity for none.
    """

    members: dict[str, dict[str, ModelScore]]
    threshold: float = math.inf

    def __call__(self, outputs: MemberOutputs) -> np.ndarray:
        """The novelty (N,) float64 of photos, in standard deviations of val: the mean of all scores of all members."""
        standardised = [
            (SCORES[name].score(outputs[model], own.reference) - own.mean) / own.spread
            for model, scores in self.members.items()
            for name, own in scores.items()
        ]
        return np.asarray(np.mean(standardised, axis=0))


def fit(train: MemberOutputs, labels: np.ndarray, val: MemberOutputs, rule: NoveltySettings) -> NoveltyDetector:
    """Fit on outputs for train, with labels (N,), and for at least one photo of val; the threshold is infinity."""
    return NoveltyDetector(
        {
            model: {name: _fit_score(SCORES[name], outputs, labels, val[model], rule) for name in rule.scores}
            for model, outputs in train.items()
        }
    )


def _fit_score(
    score: NoveltyScore, train: NetworkOutputs, labels: np.ndarray, val: NetworkOutputs, rule: NoveltySettings
) -> ModelScore:
    if score.compares_photos:
        rows = spread_evenly(len(labels), rule.max_photos)
        train, labels = train.select(rows), labels[rows]
    reference = score.fit(train, labels, rule.neighbours)
    values = score.score(val, reference)
    return ModelScore(reference, float(values.mean()), max(float(values.std()), _LEAST_SPREAD))


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
    yield "threshold", np.array(detector.threshold)
    for model, scores in detector.members.items():
        for name, own in scores.items():
            yield f"{model}/{name}/scale", np.array([own.mean, own.spread])
            yield from ((f"{model}/{name}/{key}", value) for key, value in own.reference.items())


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
    threshold, members = float(content["threshold"]), dict[str, dict[str, ModelScore]]()
    for key in (key for key in content if key.endswith("/scale")):
        model, _, name = key.removesuffix("/scale").rpartition("/")
        if name not in SCORES:
            raise ValueError(f"the score {name!r}")
        prefix = f"{model}/{name}/"
        reference = {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}
        mean, spread = reference.pop("scale").tolist()
        members.setdefault(model, {})[name] = ModelScore(reference, mean, spread)
    return NoveltyDetector(members, threshold)
