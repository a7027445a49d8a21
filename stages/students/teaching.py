"""What the ensemble teaches: its probabilities of photos to train on, and pseudo-labels of those without a label."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from stages.classifiers.settings import TeachSettings
from stages.core.errors import TableError
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring import scores


class TeacherPredictions(NamedTuple):
    """Probabilities of N photos, sorted by id: `by_model` (M, N, C) of the models, `ensemble` (N, C), calibrated."""

    image_ids: list[str]
    by_model: np.ndarray
    ensemble: np.ndarray

    def select(self, image_ids: list[str]) -> "TeacherPredictions":
        """Return those of `image_ids`, in their order. Raises TableError if one is missing."""
        place = {image_id: row for row, image_id in enumerate(self.image_ids)}
        missing = sorted(set(image_ids) - set(place))
        if missing:
            raise TableError(f"expected predictions of {missing[0]}, found none; run `dvc repro evaluate`")
        rows = [place[image_id] for image_id in image_ids]
        return TeacherPredictions(image_ids, self.by_model[:, rows], self.ensemble[rows])


def accepted(predicted: TeacherPredictions, teach: TeachSettings) -> np.ndarray:
    """Return a mask (N,) bool of the photos whose likeliest class can be their label; of none without a confidence.

    The ensemble's probability is `min_confidence` or more, and of its models a share of `min_agreement` or more has the
    same likeliest class.
    """
    if teach.min_confidence is None:
        return np.zeros(len(predicted.image_ids), dtype=bool)
    agreement = (predicted.by_model.argmax(axis=2) == predicted.ensemble.argmax(axis=1)).mean(axis=0)
    return (predicted.ensemble.max(axis=1) >= teach.min_confidence) & (agreement >= teach.min_agreement)


def without_copies(unlabelled: TeacherPredictions, splits: Mapping[str, SplitData]) -> TeacherPredictions:
    """Return those of photos that no split has: a copy would bring a photo of val or test into the training."""
    labelled = {image_id for split in splits.values() for image_id in split.image_ids}
    return unlabelled.select([image_id for image_id in unlabelled.image_ids if image_id not in labelled])


def pseudo_labelled(unlabelled: TeacherPredictions, teach: TeachSettings) -> TeacherPredictions:
    """Return those of the accepted photos."""
    mask = accepted(unlabelled, teach)
    return unlabelled.select([image_id for image_id, is_used in zip(unlabelled.image_ids, mask) if is_used])


def precision(photos: SplitData, predicted: TeacherPredictions, teach: TeachSettings) -> dict[str, float | int]:
    """Score the pseudo-labels that photos with labels would have: how many of `n` are `accepted`, and how many right.

    `precision` is the share of right ones among the accepted, with a 95 % interval that counts each group of
    near-duplicates once; there is none without an accepted photo.
    """
    mask = accepted(predicted, teach)
    counts: dict[str, float | int] = {"n": len(mask), "accepted": int(mask.sum())}
    if not mask.any():
        return counts
    right = (predicted.ensemble.argmax(axis=1) == photos.labels)[mask]
    low, high = scores.wilson(float(right.mean()), len(set(photos.select(mask).groups)))
    rates = {"share": float(mask.mean()), "precision": float(right.mean())}
    return counts | rates | {"precision_low": low, "precision_high": high}


def targets(train: TeacherPredictions, unlabelled: TeacherPredictions, classes: list[str]) -> Predictions:
    """Return the ensemble's probabilities of all photos to train on, sorted by id."""
    ids = [*train.image_ids, *unlabelled.image_ids]
    order = np.argsort(np.array(ids, dtype=object), kind="stable")
    rows = np.concatenate([train.ensemble, unlabelled.ensemble])
    return Predictions([ids[position] for position in order], rows[order], classes)


def describe_train(photos: SplitData, predicted: TeacherPredictions) -> dict[str, float | int]:
    """Return the accuracy and the mean confidence of the ensemble on train: it may know these photos too well."""
    correct = predicted.ensemble.argmax(axis=1) == photos.labels
    figures = {"accuracy": float(correct.mean()), "confidence": float(predicted.ensemble.max(axis=1).mean())}
    return {"n": len(photos.labels), **figures}


def describe_unlabelled(n_photos: int, used: TeacherPredictions, classes: list[str]) -> dict[str, Any]:
    """Return how many of `n_photos` without a label are used, their share, and how many of each class."""
    counts = np.bincount(used.ensemble.argmax(axis=1), minlength=len(classes))
    share = {"share": len(used.image_ids) / n_photos} if n_photos else {}
    return {"n": n_photos, "used": len(used.image_ids), **share, "by_class": dict(zip(classes, counts.tolist()))}
