"""Some of the project's sections as settings models, as they will be in stages/<stage>/settings.py."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stages.core.settings import (
    ByName,
    Count,
    NotNegative,
    Positive,
    Seed,
    Settings,
    Share,
    WholeNumber,
)

DETECTORS = ("centernet_mobilenetv3", "gluoncv/center_net_resnet50_v1b_voc")
CLASS_NAMES = ("person", "bicycle", "car", "bus", "truck")

Side = Annotated[int, Field(ge=32)]
Dropout = Annotated[float, Field(ge=0, le=0.9)]
Half = Annotated[float, Field(ge=0, le=0.5)]


class AugmentSettings(Settings):
    """How training photos are varied: probabilities, then sizes.

    All probabilities but `flip` are multiplied by a strength that is 1 at first, falls in a straight line after
    `full_share` of the training, and ends at `final_strength`.
    """

    flip: Share = Field(0.5, description="probability of mirroring")
    affine: Share = Field(0.8, description="probability of rotation, zoom and shift together")
    rotate_degrees: Annotated[float, Field(ge=0, le=45)] = Field(8.0, description="largest angle, either way")
    zoom: Half = Field(0.15, description="largest change of size, as a share")
    shift: Half = Field(0.08, description="largest shift, as a share of the side")
    colour: Share = Field(0.8, description="probability of changes of colour")
    brightness: Share = Field(0.25, description="largest change of brightness")
    contrast: Share = Field(0.25, description="largest change of contrast")
    saturation: Share = Field(0.4, description="largest change of saturation")
    blur: Share = Field(0.0, description="probability of blur")
    blur_px: Annotated[float, Field(ge=0, le=16)] = Field(1.5, description="largest standard deviation, in pixels")
    cutout: Share = Field(0.5, description="probability of a rectangle left out")
    cutout_side: Share = Field(0.35, description="longest side of that rectangle, as a share of the photo's")
    mixup: Share = Field(0.0, description="share of batches with mixup")
    cutmix: Share = Field(0.0, description="share of batches with CutMix")
    mix_alpha: Positive = Field(0.4, description="both parameters of the beta distribution of mixup and CutMix")
    full_share: Share = Field(0.6, description="share of the training at full strength")
    final_strength: Share = Field(0.0, description="strength at the end")


class Phase(Settings):
    """A stretch of the training, and what it does otherwise than section `train`; null is as there."""

    epochs: Count = Field(description="epochs of this phase")
    frozen_share: Share | None = Field(None, description="share of frozen layers")
    learning_rate: Positive | None = Field(None, description="peak learning rate")
    input_px: Side | None = Field(None, description="longer side of the network's input")
    strength: Share = Field(1.0, description="factor on the strength of the augmentation")


class TrainSettings(Settings):
    """How every model is trained."""

    seed: Seed = Field(0, description="from which the seed of each model is derived")
    unfreeze: Literal["all"] | tuple[Phase, ...] = Field("all", description="one phase, or several in order")
    epochs: WholeNumber = Field(10, description="of the one phase; 0 keeps the linear head")
    batch_size: Count = Field(16, description="photos per step")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="optimizer")
    learning_rate: Positive = Field(5e-4, description="peak of a linear warm-up and a cosine")
    momentum: Share = Field(0.9, description="of `sgd`")
    warmup_epochs: NotNegative = Field(2.0, description="length of the warm-up")
    weight_decay: NotNegative = Field(1e-3, description="decoupled weight decay")
    label_smoothing: Dropout = Field(0.1, description="probability given to all classes alike")
    class_weights: Literal["none", "balanced"] = Field("none", description="`balanced` weights rare classes more")
    frozen_share: Share = Field(0.25, description="share of layers, from the input on, that stay pretrained")
    batch_norm: Literal["frozen", "trained"] = Field("frozen", description="`trained` normalises each batch by itself")
    ema: Annotated[float, Field(ge=0, le=0.9999)] = Field(0.0, description="momentum of averaged weights; 0 is none")
    dropout: Dropout = Field(0.2, description="before the classifier")
    head_l2: Positive = Field(0.03, description="penalty of the linear head's first fit")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="of the computation")
    patience: Count | None = Field(6, description="epochs without improvement; null: no early stopping")
    checkpoint_minutes: Positive = Field(5.0, description="between checkpoints within an epoch")
    cache_mb: WholeNumber = Field(2000, description="memory for decoded photos")
    augment: AugmentSettings = Field(AugmentSettings(), description="how training photos are varied")

    def phases(self) -> tuple[Phase, ...]:
        """Return the phases, in order; none where there is no epoch to train for."""
        if self.unfreeze == "all":
            return (Phase(epochs=self.epochs),) if self.epochs else ()
        return self.unfreeze


class InferenceSettings(Settings):
    """How a network is run."""

    batch_size: Count = Field(description="photos per batch")
    engine: Literal["auto", "openvino", "onnxruntime"] = Field(
        description="`auto`: ONNX Runtime on CUDA, else OpenVINO"
    )
    precision: Literal["auto", "f32", "bf16"] = Field(description="`auto`: bf16 where the CPU computes in it")


class DetectSettings(Settings):
    """Which network finds objects, and down to which score its boxes are kept."""

    network: str = Field(description="the detector")
    min_score: Share = Field(description="boxes of a lower score are dropped")
    max_boxes: Count = Field(description="boxes kept per photo")
    inference: InferenceSettings = Field(description="how the network is run")
    flip: bool = Field(False, description="average with the outputs for the mirrored photo")

    @field_validator("network")
    @classmethod
    def _is_known(cls, network: str) -> str:
        if network not in DETECTORS:
            raise ValueError(f"expected one of {', '.join(DETECTORS)}, found {network!r}")
        return network


class MaskSettings(Settings):
    """How the maps of all segmenters become one mask, and when it is rejected."""

    weights: ByName[NotNegative] = Field(description="one for each segmenter; they need not sum to 1")
    min_region: Share = Field(description="smaller regions, as a share of the largest, are dropped")
    min_agreement: Share = Field(description="mean pairwise IoU of the segmenters' masks")
    min_coverage: Share = Field(description="smallest share of the crop")
    max_coverage: Share = Field(description="largest share of the crop")

    @model_validator(mode="after")
    def _can_be_met(self) -> "MaskSettings":
        if self.min_coverage > self.max_coverage:
            raise ValueError(
                f"min_coverage: expected at most max_coverage = {self.max_coverage}, found {self.min_coverage}"
            )
        if not sum(self.weights.values()):
            raise ValueError(f"weights: expected one above 0 or more, found {self.weights}")
        return self


class CropSettings(Settings):
    """The rule for the main car; with `mode: full_image` every photo is used whole."""

    mode: Literal["box", "full_image"] = Field(description="what is cut out")
    classes: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="classes of the main car")
    min_score: Share = Field(description="boxes of a lower score are no candidates")
    min_area: Share = Field(description="smallest share of the photo")
    min_aspect: Share = Field(description="smallest width / height at the left or right edge")
    max_aspect: Annotated[float, Field(ge=1, le=1000)] = Field(description="largest one at the upper or lower edge")
    max_runner_up_ratio: Share = Field(description="largest rank of another vehicle; 1 allows all")
    margin: Share = Field(description="added on every side, as a share of the box's longer side")
    on_no_box: Literal["full_image", "drop"] = Field(description="what becomes of a photo without a main car")
    max_side: Annotated[int, Field(ge=16, le=8192)] = Field(description="longer side of a crop, in pixels, at most")

    @field_validator("classes")
    @classmethod
    def _are_known(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in classes if name not in CLASS_NAMES]
        if unknown:
            raise ValueError(f"expected names of {', '.join(CLASS_NAMES)}, found {unknown[0]!r}")
        return classes


class EnsembleSettings(Settings):
    """How the models are weighted."""

    min_val: Count = Field(30, description="photos; with fewer nothing is fitted")
    method: Literal["log_loss", "greedy", "equal"] = Field("log_loss", description="how weights are fitted")
    shrinkage: Literal["auto"] | Share = Field("auto", description="share of equal weights mixed in")
    calibrate: bool = Field(True, description="fit a temperature on val")
    manual_weights: ByName[NotNegative] | None = Field(None, description="weights to show beside the fitted ones")


class ModelSettings(Settings):
    """A backbone, and what it wants otherwise than section `train`."""

    backbone: str = Field(description="the network")
    weights: str = Field(description="a file of pretrained weights, or `none`")
    input_px: Side | None = Field(None, description="longer side of the input")


SECTIONS: dict[str, type[Settings]] = {
    "detect": DetectSettings,
    "crop": CropSettings,
    "mask": MaskSettings,
    "train": TrainSettings,
    "ensemble": EnsembleSettings,
}
NAMED: dict[str, type[Settings]] = {"models": ModelSettings}
