"""The parameters of training, and the few numbers that follow from them alone."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

from stages.classifiers.settings import Dropout, LoaderParams, ModelParams, Side, derive_seed
from stages.core.params import Count, NotNegative, ParamError, Positive, Range, Share


@dataclass(frozen=True)
class AugmentParams:
    """How training photos are varied: `flip`, `affine`, `colour`, `blur`, `cutout`, `mixup` and `cutmix` are
    probabilities, `blur_px` is the largest standard deviation in pixels, the rest sizes.

    All probabilities but the first are multiplied by a strength that is one at first, falls in a straight line
    after `full_share` of the training, and ends at `final_strength`: the end is learned on photos as they
    are. A mirrored car is as likely a photo as the first, so the flip goes on.
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
    blur: Share = 0.0
    blur_px: Annotated[float, Range(0, 16)] = 1.5
    cutout: Share = 0.5
    cutout_side: Share = 0.35
    mixup: Share = 0.0
    cutmix: Share = 0.0
    mix_alpha: Positive = 0.4
    full_share: Share = 0.6
    final_strength: Share = 0.0


@dataclass(frozen=True)
class Phase:
    """A stretch of the training: `epochs`, and what it does otherwise than section `train`; null is as there.

    `input_px` is the longer side at which the network sees the photos meanwhile (progressive resolution: Tan & Le 2021,
    arXiv:2104.00298, section 4), `strength` multiplies the strength of the augmentation.
    """

    epochs: Count
    frozen_share: Share | None = None
    learning_rate: Positive | None = None
    input_px: Side | None = None
    strength: Share = 1.0


@dataclass(frozen=True)
class TrainParams(LoaderParams):
    """Section `train`: how every model is trained.

    `unfreeze` is `all` for one phase of `epochs`, or a list of phases one behind the other, such as a gradual
    unfreezing (Howard & Ruder 2018, arXiv:1801.06146, section 3.3), which count their epochs themselves.
    `warmup_epochs` and `patience` count epochs (patience null: no early stopping), `frozen_share` is the share
    of the layers, counted from the photo on, that keep their pretrained weights, `momentum` is SGD's,
    `batch_norm` `trained` normalises each batch by itself, `ema` is the momentum of an average of the weights that is
    judged and kept in place of the last ones (0: none), `class_weights` `balanced` weighs photos of rare classes more,
    `probe_l2` is the penalty on the squared weights of the first, linear fit of the head, `cache_mb` the memory allowed
    for decoded photos. The state is kept on disk after every epoch, and within one every `checkpoint_minutes`.
    """

    unfreeze: Literal["all"] | tuple[Phase, ...] = "all"
    epochs: Annotated[int, Range(0)] = 10
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Positive = 5e-4
    momentum: Share = 0.9
    warmup_epochs: NotNegative = 2.0
    weight_decay: NotNegative = 1e-3
    label_smoothing: Annotated[float, Range(0, 0.9)] = 0.1
    class_weights: Literal["none", "balanced"] = "none"
    frozen_share: Share = 0.25
    batch_norm: Literal["frozen", "trained"] = "frozen"
    ema: Annotated[float, Range(0, 0.9999)] = 0.0
    dropout: Dropout = 0.2
    probe_l2: Positive = 0.03
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    patience: Count | None = 6
    checkpoint_minutes: Positive = 5.0
    cache_mb: Annotated[int, Range(0)] = 2000
    augment: AugmentParams = dataclasses.field(default_factory=AugmentParams)

    def phases(self) -> tuple[Phase, ...]:
        """Return the phases, in order; none where there is no epoch to train for."""
        if self.unfreeze == "all":
            return (Phase(self.epochs),) if self.epochs else ()
        return self.unfreeze

    def n_epochs(self) -> int:
        """Return the epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases())


def resolve(train: TrainParams, model: ModelParams, name: str) -> TrainParams:
    """Return `train` with the overrides of one model, and with a seed of this model's own.

    Raises ParamError where a model would set what phases set.
    """
    if model.epochs is not None and train.unfreeze != "all":
        raise ParamError(f"models.{name}.epochs: expected none beside phases in train.unfreeze, found {model.epochs}")
    overrides = {key: getattr(model, key) for key in ("learning_rate", "epochs", "dropout")}
    given = {key: value for key, value in overrides.items() if value is not None}
    return dataclasses.replace(train, seed=derive_seed(train.seed, name), **given)
