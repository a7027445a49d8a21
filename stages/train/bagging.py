"""The networks of one model: one that is judged on val, or one for each fold of the photos outside test."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.classifiers.image_source import ImageSource, image_size_hw
from stages.classifiers.runtime import Runtime
from stages.classifiers.settings import BagSettings, derive_seed
from stages.core.archive import Archive
from stages.core.errors import TableError
from stages.schemas import split_data
from stages.scoring import folds
from stages.train import trainer
from stages.train.curves import Curves
from stages.train.fit import Epoch, Splits
from stages.train.settings import TrainSettings
from stages.train.trainer import Member, TrainingResult, TrainingSetup


def read_members(table: Path, archive: Path, classes: list[str], bag: BagSettings) -> list[Splits]:
    """Read what each network trains on and is judged by: train and val; with folds, all but one fold and that fold.

    Raises TableError if there is no photo to train on, or too few for the folds.
    """
    splits = split_data.read(table, classes)
    images = Archive(archive)
    if not splits["train"].image_ids:
        raise TableError(f"{table}: expected photos with the split `train`, found none")
    size_hw = image_size_hw(images, splits["train"])
    if bag.folds is None:
        return [Splits(*(ImageSource.of(images, splits[name], size_hw) for name in ("train", "val")))]
    photos = split_data.outside_test(splits)
    masks = folds.held_out(photos.labels, photos.groups, bag.folds, bag.seed)
    if len(masks) < bag.folds:
        raise TableError(
            f"{table}: expected photos outside test for train.folds ({bag.folds}), found enough for {len(masks)}; "
            "set fewer folds or null"
        )
    return [
        Splits(*(ImageSource.of(images, photos.select(rows), size_hw) for rows in (~held_out, held_out)))
        for held_out in masks
    ]


def plan(splits: Sequence[Splits], recipe: TrainSettings, curves: Path, logs: Path) -> list[Member]:
    """The networks to train, each of several with a seed and with folders below `logs` of its own."""
    if len(splits) == 1:
        return [Member(splits[0], recipe.fitted_to(len(splits[0].train.names)), curves, logs)]
    members = []
    for number, one in enumerate(splits):
        own = logs / f"member_{number}"
        seed = derive_seed(recipe.seed, own.name)
        fitted = recipe.fitted_to(len(one.train.names))
        members.append(Member(one, fitted.replace(seed=seed), own / "curves", own))
    return members


def train_all(members: Sequence[Member], setup: TrainingSetup) -> list[TrainingResult]:
    """Train one network after the other; one whose training had ended is loaded from its checkpoint."""
    results = []
    for number, member in enumerate(members, 1):
        if len(members) > 1:
            print(f"network {number} of {len(members)}: all photos outside test but one fold", file=sys.stderr)
        with Curves(member.curves, member.logs) as curves:
            results.append(trainer.train(member, setup, curves))
    return results


def log_mean(curves: Curves, histories: Sequence[Sequence[Epoch]]) -> None:
    """Log the mean metrics of the epochs that all networks have reached."""
    for epochs in zip(*histories):
        names = epochs[0].metrics
        curves.log(
            epochs[0].number, {name: float(np.mean([one.metrics[name] for one in epochs])) for name in names}, {}
        )


def record(results: Sequence[TrainingResult], members: Sequence[Member], system: Runtime) -> dict[str, Any]:
    """Return the content of `model.json`; nothing in it changes from run to run.

    That of the one network; with several, `members` holds what differs between them.
    """
    by_member = [trainer.record(result, member.recipe, system) for result, member in zip(results, members, strict=True)]
    if len(by_member) == 1:
        return by_member[0]
    own = ("best_epoch", "metrics", "seed", "batch_size")
    shared = {name: value for name, value in by_member[0].items() if name not in own}
    return shared | {"members": [{name: facts[name] for name in own} for facts in by_member]}
