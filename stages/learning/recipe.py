"""The parameters of training, and the few numbers that follow from them alone."""

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from stages.records.params import Count, Range, Share

Positive = Annotated[float, Range(1e-12)]
NotNegative = Annotated[float, Range(0)]


@dataclass(frozen=True)
class AugmentParams:
    """How training photos are varied: `flip`, `affine`, `colour`, `cutout` are probabilities, the rest sizes.

    The last three probabilities are multiplied by a strength that is one at first, falls in a straight line
    after `full_share` of the training, and ends at `final_strength`: the end is learned on photos as they
    are.
    """

    flip: Share = 0.5
    affine: Share = 0.8
    rotate_degrees: Annotated[float, Range(0, 45)] = 8.0
    zoom: Annotated[float, Range(0, 0.5)] = 0.15
    shift: Annotated[float, Range(0, 0.5)] = 0.08
    colour: Share = 0.8
    brightness: Share = 0.25
    contrast: Share = 0.25
    saturation: Share = 0.4
    cutout: Share = 0.5
    cutout_side: Share = 0.35
    full_share: Share = 0.6
    final_strength: Share = 0.2


@dataclass(frozen=True)
class TrainParams:
    """Section `train`: how every model is trained.

    `warmup_epochs` and `patience` count epochs (patience null: no early stopping), `frozen_share` is the share
    of the layers, counted from the photo on, that keep their pretrained weights, `probe_l2` the penalty on the
    squared weights of the first, linear fit of the head, `cache_mb` the memory allowed for decoded photos.
    """

    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    epochs: Annotated[int, Range(0)] = 10
    batch_size: Count = 32
    learning_rate: Positive = 5e-4
    warmup_epochs: NotNegative = 1.0
    weight_decay: NotNegative = 1e-3
    label_smoothing: Annotated[float, Range(0, 0.9)] = 0.1
    frozen_share: Share = 0.25
    dropout: Annotated[float, Range(0, 0.9)] = 0.2
    probe_l2: Positive = 1e-3
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    threads: Count = 2
    patience: Count | None = 6
    cache_mb: Annotated[int, Range(0)] = 2000
    augment: AugmentParams = dataclasses.field(default_factory=AugmentParams)


@dataclass(frozen=True)
class ModelParams:
    """Section `models.<name>`: a backbone and what it wants otherwise than section `train`.

    `weights` is a file in the folder of pretrained networks, null starts from random weights. `input_px` is
    the side to which the network itself resizes the photos, null keeps the side that they have.
    """

    backbone: str
    weights: str | None = None
    input_px: Annotated[int, Range(32)] | None = None
    learning_rate: Positive | None = None
    epochs: Annotated[int, Range(0)] | None = None


def resolve(train: TrainParams, model: ModelParams, name: str) -> TrainParams:
    """Return `train` with the overrides of one model, and with a seed of this model's own."""
    overrides = {key: getattr(model, key) for key in ("learning_rate", "epochs")}
    given = {key: value for key, value in overrides.items() if value is not None}
    return dataclasses.replace(train, seed=seed_of(train.seed, name), **given)


def seed_of(seed: int, name: str) -> int:
    """Derive a seed in 0..2**31-1 from a seed and a name, alike on every machine and in every process."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
