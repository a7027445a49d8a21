"""Fit a linear classifier to what an untrained network sees: the floor that every trained model must beat.

A recipe that loses to it is most likely broken (Kornblith et al. 2019, arXiv:1805.08974, compare the two throughout).
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.learning import dataset, folds, inference, novelty, photos, pretrained, runtime, scores
from stages.learning.backbones import Network
from stages.learning.dataset import Source
from stages.learning.folds import Features, Probe
from stages.learning.photos import SPLITS, Photos
from stages.learning.recipe import ModelParams, ProbeParams, TrainParams, resolve
from stages.records import atomic, command, params, predictions, progress, tables
from stages.records.archive import Archive
from stages.records.predictions import Predictions


def see(network: Network, chosen: Photos, pictures: Archive, recipe: TrainParams) -> Features:
    """Return what the network makes of photos exactly as they are."""
    source = Source.of(pictures, chosen, network.pooled.input_shape[1:3])
    batches = dataset.in_order(source, recipe.batch_size, recipe.threads)
    n_batches = -(-len(source.names) // recipe.batch_size)
    values = inference.apply(network.pooled, progress.track(batches, n_batches, "batch", "probe"), len(source.names))
    return Features(values, chosen.labels, chosen.groups)


def answers(fitted: Probe, seen: dict[str, Features]) -> dict[str, np.ndarray]:
    """The probabilities (N, C) of every split; those of train come from probes that did not see the photo."""
    others = {name: folds.answer(fitted.head, seen[name].values) for name in ("val", "test")}
    return {"train": fitted.out_of_fold, **others}


def judge(fitted: Probe, found: dict[str, np.ndarray], seen: dict[str, Features]) -> dict[str, Any]:
    """Score every split; `train` is out of fold, and so is what chose the penalty."""
    return {"l2": fitted.l2} | {
        name: scores.summary(seen[name].labels, found[name], seen[name].groups) for name in SPLITS
    }


def table(found: dict[str, np.ndarray], splits: dict[str, Photos], classes: list[str]) -> Predictions:
    """All photos as one probability table."""
    ids = [image_id for name in SPLITS for image_id in splits[name].image_ids]
    order = np.argsort(np.array(ids, dtype=object), kind="stable")
    rows = np.concatenate([found[name] for name in SPLITS])
    return Predictions([ids[place] for place in order], rows[order], classes)


def strangeness(seen: dict[str, Features], splits: dict[str, Photos], n_neighbours: int) -> pd.DataFrame:
    """A row per photo: `image_id`, its `distance` from the photos of train, and the `fence` beyond which it is far."""
    others = np.concatenate([seen["val"].values, seen["test"].values])
    own, of_others = novelty.distances(seen["train"].values, others, n_neighbours)
    ids = [image_id for name in SPLITS for image_id in splits[name].image_ids]
    frame = pd.DataFrame({"image_id": ids, "distance": np.concatenate([own, of_others])})
    return frame.assign(fence=novelty.fence(own)).round(6).sort_values("image_id")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name of a section under `models` of the parameters")
    for name in ("params", "table", "photos", "classes", "pretrained", "predictions", "distances", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Parse, load, fit, score, write."""
    args = arguments()
    model = params.read(args.params, f"models.{args.model}", ModelParams)
    rule = params.read(args.params, "probe", ProbeParams)
    recipe = resolve(params.read(args.params, "train", TrainParams), model, args.model)
    classes = photos.read_classes(args.classes)
    system = runtime.configure(recipe.seed, recipe.threads)
    splits = photos.read(args.table, classes)
    if not splits["train"].image_ids:
        raise tables.TableError(f"{args.table}: expected photos with the split `train`, found none")
    pictures = Archive(args.photos)
    shape = pretrained.shape(model, recipe, photos.size_hw(pictures, splits["train"]), len(classes))
    network = pretrained.network(model, shape, pretrained.read(args.pretrained, model))
    seen = {name: see(network, splits[name], pictures, recipe) for name in SPLITS}
    fitted = folds.fit(seen["train"], len(classes), rule.l2, rule.folds)
    found = answers(fitted, seen)
    predictions.write(args.predictions, table(found, splits, classes))
    tables.write(args.distances, strangeness(seen, splits, rule.neighbours))
    atomic.write_json(args.metrics, judge(fitted, found, seen))
    progress.summary(f"probe {args.model}", **{name: len(splits[name].labels) for name in SPLITS}, device=system)


if __name__ == "__main__":
    command.run(main)
