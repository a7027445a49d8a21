"""Train one model of `params.yaml` on the letterboxed photos and keep its best state."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.learning import fit, keras_file, photos, pretrained, runtime
from stages.learning.backbones import Network, Shape
from stages.learning.checkpoint import Checkpoint, fingerprint
from stages.learning.curves import Curves
from stages.learning.dataset import Source
from stages.learning.engine import keras, tf
from stages.learning.recipe import ModelParams, TrainParams, resolve
from stages.learning.runtime import Runtime
from stages.records import atomic, command, params, progress
from stages.records.archive import Archive


class Result(NamedTuple):
    """A trained network in float32, and the epoch whose state it holds."""

    model: keras.Model
    shape: Shape
    best: fit.Epoch


class Setting(NamedTuple):
    """Pretrained tensors by name (or None), number of classes, arithmetic, and where an unfinished state is kept."""

    tensors: dict[str, np.ndarray] | None
    n_classes: int
    precision: str
    checkpoint: Checkpoint


def train(model: ModelParams, recipe: TrainParams, splits: fit.Splits, setting: Setting, curves: Curves) -> Result:
    """Train `model` and return it in float32, whatever the arithmetic of the training was."""
    shape = pretrained.shape(model, recipe, splits.train.size_hw, setting.n_classes)
    policy = runtime.policy(setting.precision)

    def build(input_px: int | None) -> Network:
        input_hw = pretrained.shrunk(shape.photo_hw, input_px) if input_px else shape.input_hw
        return pretrained.network(model, shape._replace(input_hw=input_hw), setting.tensors, policy)

    task = fit.Task(build, splits, recipe, is_fresh=setting.tensors is None)

    def observe(epoch: fit.Epoch) -> None:
        curves.log(*epoch)
        # A training that goes on tells of its earlier epochs again, but has the weights of the last one alone.
        if epoch is training.history[-1]:
            curves.spread(epoch.number, {weight.path: np.asarray(weight) for weight in training.network.logits.weights})

    training = fit.Training(task, setting.checkpoint, observe)
    best = training.run()
    plain = pretrained.network(model, shape, None).probabilities
    plain.set_weights(training.network.probabilities.get_weights())
    return Result(plain, shape, best)


def describe(result: Result, recipe: TrainParams, system: Runtime) -> dict[str, Any]:
    """Return what `model.json` tells of a model: nothing in it changes from run to run."""
    return {
        "best_epoch": result.best.number,
        "figures": result.best.figures,
        "phases": [dataclasses.asdict(phase) for phase in recipe.phases()],
        "seed": recipe.seed,
        "photo_hw": result.shape.photo_hw,
        "input_hw": result.shape.input_hw,
        "n_parameters": result.model.count_params(),
        "device": system.device,
        "precision": system.precision,
        "threads": system.threads,
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name of a section under `models` of the parameters")
    names = ("params", "table", "photos", "classes", "pretrained", "out", "curves", "logs")
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Parse, load, train, write."""
    args = arguments()
    model = params.read(args.params, f"models.{args.model}", ModelParams)
    recipe = resolve(params.read(args.params, "train", TrainParams), model, args.model)
    classes = photos.read_classes(args.classes)
    system = runtime.configure(recipe.seed, recipe.threads, recipe.precision)
    splits = read_splits(args.table, args.photos, classes)
    decisive = [args.table, args.photos, args.pretrained / model.weights]
    kept = Checkpoint(args.logs / "checkpoint.npz", fingerprint((model, recipe, system, classes), decisive))
    setting = Setting(pretrained.read(args.pretrained, model), len(classes), system.precision, kept)
    with Curves(args.curves, args.logs) as curves:
        result = train(model, recipe, splits, setting, curves)
    keras_file.save(result.model, args.out / "model.keras")
    facts = {"name": args.model, "backbone": model.backbone, "weights": model.weights, "classes": classes}
    atomic.write_json(args.out / "model.json", facts | describe(result, recipe, system))
    kept.remove()
    progress.summary(
        f"train {args.model}", photos=len(splits.train.names), best_epoch=result.best.number, device=system
    )


def read_splits(table: Path, archive: Path, classes: list[str]) -> fit.Splits:
    """Read the photos to train on and to watch. Raises TableError when there is none to train on."""
    found = photos.read(table, classes)
    if not found["train"].image_ids:
        raise photos.tables.TableError(f"{table}: expected photos with the split `train`, found none")
    pictures = Archive(archive)
    size_hw = photos.size_hw(pictures, found["train"])
    return fit.Splits(*(Source.of(pictures, found[name], size_hw) for name in ("train", "val")))


if __name__ == "__main__":
    command.run(main)
