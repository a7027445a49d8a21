"""Section `train` of params.yaml, and the few numbers that follow from it alone."""

from typing import Annotated, Literal

from pydantic import Field

from stages.classifiers.settings import BagSettings, Dropout, LoaderSettings, ModelSettings, Side, derive_seed
from stages.core.settings import Count, NotNegative, Positive, Settings, SettingsError, Share, WholeNumber

Half = Annotated[float, Field(ge=0, le=0.5)]
# Smaller batches were not compared: docs/experiments.md.
_LEAST_BATCH = 4


class AugmentSettings(Settings):
    """How training photos are varied; val and test never are.

    All probabilities but `flip` are multiplied by a strength that is 1 at first, falls in a straight line after
    `full_share` of the training and ends at `final_strength`, so that the end is learned on photos as they are. A
    mirrored car is as likely a photo as the first, so `flip` stays.
    """

    flip: Share = Field(0.5, description="probability of mirroring")
    affine: Share = Field(0.8, description="probability of rotation, zoom and shift")
    rotate_degrees: Annotated[float, Field(ge=0, le=45)] = Field(8.0, description="largest angle, either way")
    zoom: Half = Field(0.15, description="largest change of scale, as a share")
    shift: Half = Field(0.08, description="largest shift, as a share of the side")
    colour: Share = Field(0.8, description="probability of changes of brightness, contrast and saturation")
    brightness: Share = Field(0.25, description="largest change, as a share")
    contrast: Share = Field(0.25, description="largest change, as a share")
    saturation: Share = Field(0.4, description="largest change, as a share")
    blur: Share = Field(0.0, description="probability of a Gaussian blur")
    blur_px: Annotated[float, Field(ge=0, le=16)] = Field(1.5, description="largest sigma of the blur, in pixels")
    cutout: Share = Field(0.5, description="probability of a grey square (DeVries & Taylor 2017, arXiv:1708.04552)")
    cutout_side: Share = Field(0.35, description="side of the square, as a share of the photo's shorter side")
    mixup: Share = Field(0.0, description="probability of mixup (Zhang et al. 2018, arXiv:1710.09412)")
    cutmix: Share = Field(0.0, description="probability of CutMix (Yun et al. 2019, arXiv:1905.04899)")
    mix_alpha: Positive = Field(0.4, description="both parameters of the beta distribution of mixup and CutMix")
    full_share: Share = Field(0.6, description="share of the training at full strength")
    final_strength: Share = Field(0.0, description="strength at the end of the training")


class Phase(Settings):
    """A phase of the training, and what it does differently from section `train`; null: nothing.

    Progressive resolution: Tan & Le 2021, arXiv:2104.00298, section 4.
    """

    epochs: Count = Field(description="epochs of this phase")
    frozen_share: Share | None = Field(None, description="in place of `train.frozen_share`")
    learning_rate: Positive | None = Field(None, description="in place of `train.learning_rate`")
    input_px: Side | None = Field(None, description="longer side of the network's input, in pixels")
    strength: Share = Field(1.0, description="factor on the strength of the augmentation")


class TrainSettings(LoaderSettings, BagSettings):
    """How every model is trained: its head first, then all of it, or phase by phase.

    Gradual unfreezing: Howard & Ruder 2018, arXiv:1801.06146, section 3.3. State is saved after every epoch.
    """

    unfreeze: Literal["all"] | tuple[Phase, ...] = Field(
        "all", description="one phase of `epochs`, or a list of phases, which count their epochs themselves"
    )
    epochs: WholeNumber = Field(10, description="of the one phase; 0 keeps the fitted head")
    min_steps_per_epoch: WholeNumber = Field(
        0, description="`batch_size` is halved, down to 4 photos, until an epoch has as many steps; 0: never"
    )
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="`sgd` with Nesterov's momentum")
    learning_rate: Positive = Field(5e-4, description="peak, after a linear warm-up and before a cosine to 0")
    momentum: Share = Field(0.9, description="of `sgd`")
    warmup_epochs: NotNegative = Field(2.0, description="length of the warm-up")
    weight_decay: NotNegative = Field(1e-3, description="decoupled; offsets and scales of normalisation have none")
    label_smoothing: Dropout = Field(0.1, description="probability spread over all classes")
    class_weights: Literal["none", "balanced"] = Field("none", description="`balanced` weights rare classes more")
    frozen_share: Share = Field(0.25, description="share of the layers, from the input on, that stay pretrained")
    batch_norm: Literal["frozen", "trained"] = Field(
        "frozen", description="`trained` normalises by each batch and recalibrates the statistics after each epoch"
    )
    ema: Annotated[float, Field(ge=0, le=0.9999)] = Field(
        0.0, description="momentum of averaged weights, which are evaluated and kept; 0: none"
    )
    dropout: Dropout = Field(0.2, description="before the classes")
    head_l2: Positive = Field(0.03, description="penalty of the linear head's fit on frozen features")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="float32 on CPUs, bfloat16 or float16 on NVIDIA cards"
    )
    patience: Count | None = Field(6, description="epochs without a better val log loss before the end; null: no end")
    checkpoint_minutes: Positive = Field(5.0, description="between checkpoints within an epoch")
    cache_mb: WholeNumber = Field(2000, description="memory for decoded photos, in MB")
    augment: AugmentSettings = Field(AugmentSettings(), description="how training photos are varied")

    def phases(self) -> tuple[Phase, ...]:
        """Return the phases, in order; none where there is no epoch to train for."""
        if self.unfreeze == "all":
            return (Phase(epochs=self.epochs),) if self.epochs else ()
        return self.unfreeze

    def n_epochs(self) -> int:
        """Return the epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases())

    def fitted_to(self, n_photos: int) -> "TrainSettings":
        """Return these settings with the batch size that `n_photos` to train on need for `min_steps_per_epoch`."""
        size = self.batch_size
        while size // 2 >= _LEAST_BATCH and n_photos / size < self.min_steps_per_epoch:
            size //= 2
        return self.replace(batch_size=size)


def resolve(train: TrainSettings, model: ModelSettings, name: str, section: str = "models") -> TrainSettings:
    """Return `train` with the overrides of one model, an entry of `section`, and with a seed of this model's own.

    Raises SettingsError where a model would set what phases set.
    """
    if model.epochs is not None and train.unfreeze != "all":
        raise SettingsError(
            f"{section}.{name}.epochs: expected none beside phases in train.unfreeze, found {model.epochs}"
        )
    overrides = {key: getattr(model, key) for key in ("learning_rate", "epochs", "dropout")}
    given = {key: value for key, value in overrides.items() if value is not None}
    return train.replace(seed=derive_seed(train.seed, name), **given)
