"""Seconds per photo of a training step: by Keras, with XLA, as the pipeline takes it; and of the input pipeline alone.

Unlike training, it does not restrict TensorFlow to deterministic operations: Keras has no XLA with these.
"""

import argparse
import collections
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import stages
from benchmarks import timing
from stages.classifiers import backbones, folding, pretrained, runtime
from stages.classifiers.engine import tf
from stages.classifiers.image_source import ImageSource
from stages.classifiers.settings import ModelSettings
from stages.core import cores, settings
from stages.core.runtime_settings import RuntimeSettings
from stages.schemas import class_list
from stages.train import bagging, schedule, training_data
from stages.train.loss import training_loss
from stages.train.schedule import ScheduledPhase
from stages.train.settings import TrainSettings
from stages.train.train_step import compiled_train_step


class Variant(NamedTuple):
    """The precision of a step, and what takes it: Keras's `train_on_batch`, with XLA or without, or the pipeline."""

    precision: str
    by: str

    def __str__(self) -> str:
        return f"{self.precision}, {self.by}"


PIPELINE, KERAS, XLA = "pipeline", "Keras", "Keras with XLA"


def train_step(
    model: ModelSettings, source: ImageSource, recipe: TrainSettings, variant: Variant
) -> Callable[[Any], float]:
    """A training step of `model` on a batch, compiled as in training."""
    n_classes = int(source.labels.max()) + 1
    shape = pretrained.shape(model, source.size_hw, n_classes, recipe.dropout, recipe.seed)
    network = backbones.build(backbones.find(model.backbone), shape, runtime.policy(variant.precision))
    backbones.freeze(network.pooled, recipe.frozen_share, recipe.batch_norm)
    rule = schedule.optimizer(recipe, ScheduledPhase(recipe.phases()[0], 0, 1), 1)
    loss = training_loss(recipe, source.labels, n_classes)
    forward = folding.for_training(network.logits) if variant.by == PIPELINE else network.logits
    network.logits.compile(rule, loss, jit_compile=variant.by == XLA)
    if variant.by == PIPELINE:
        step = compiled_train_step(network.logits, forward, tf.distribute.get_strategy())
        return lambda batch: step(*batch)
    return lambda batch: float(network.logits.train_on_batch(*batch))


def main() -> None:
    """Print the table of seconds per photo; the last row is the input pipeline alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--splits", type=Path, default=Path("data/splits.csv"))
    parser.add_argument(
        "--input-images", type=Path, default=Path("data/model_inputs"), help="an archive for each input"
    )
    parser.add_argument("--classes", type=Path, default=Path("data/classes.txt"))
    parser.add_argument("--batch-size", type=int, help="default: that of the training")
    parser.add_argument("--steps", type=int, default=4, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    default = ["float32", "bfloat16"] if stages.reproducibility() == stages.METRICS else ["float32"]
    parser.add_argument("--precision", nargs="+", default=default, choices=list(runtime.POLICIES))
    arguments = parser.parse_args()
    recipe = settings.read(arguments.params, "train", TrainSettings).replace(unfreeze="all", epochs=1000)
    model = settings.read(arguments.params, f"models.{arguments.model}", ModelSettings)
    runtime.pin_threads(settings.read(arguments.params, "runtime", RuntimeSettings).n_threads)
    classes = class_list.read_classes(arguments.classes)
    photos, plain = arguments.input_images / model.input, recipe.replace(folds=None)
    source = bagging.read_members(arguments.splits, photos, classes, plain)[0].train
    recipe = recipe.fitted_to(len(source.names))
    if arguments.batch_size:
        recipe = recipe.replace(batch_size=arguments.batch_size)
    n_classes = int(source.labels.max()) + 1
    batches = iter(training_data.training_batches(source, recipe, n_classes))
    fixed = list(itertools.islice(batches, arguments.steps))

    def run_steps(step: Callable[[Any], float]) -> Callable[[], object]:
        return lambda: [step(batch) for batch in fixed]

    variants = [Variant(name, by) for name in arguments.precision for by in (KERAS, XLA, PIPELINE)]
    contenders = {
        str(variant): timing.stopwatch(run_steps(train_step(model, source, recipe, variant))) for variant in variants
    }
    # So many that batches prepared while the others ran do not matter.
    n_alone = 50 * arguments.steps
    alone = timing.stopwatch(lambda: collections.deque(itertools.islice(batches, n_alone), maxlen=0))
    contenders["input pipeline alone"] = lambda: alone() * arguments.steps / n_alone
    seconds = timing.interleaved(contenders, arguments.rounds)
    height, width = source.size_hw
    title = (
        f"{arguments.model} at {width}x{height} px, batches of {recipe.batch_size}, {len(seconds)} rounds, "
        f"{cores.available()} cores; s per photo"
    )
    timing.show(timing.compare(seconds, arguments.steps * recipe.batch_size, str(variants[0])), title)


if __name__ == "__main__":
    main()
