"""Section `inputs` of params.yaml: what models see, for the stages that make it and for those that make masks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.core import settings
from stages.core.settings import Settings, SettingsError
from stages.core.settings_errors import suggestion

Fit = Literal["pad", "reflect", "squash"]
Pixels = Annotated[int, Field(ge=16, le=2048)]


class InputSettings(Settings):
    """What a model sees of a photo: which part of it, what becomes of the background, and the size."""

    region: Literal["box", "full_image"] = Field(
        "box", description="`box`: the crop of the main car; `full_image`: the whole photo"
    )
    background: Literal["remove", "blur", "keep"] = Field(description="what becomes of the pixels outside the mask")
    mask_margin: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None,
        description="cut the crop to the box of its mask and this share of the box's longer side around it; null: the "
        "whole crop",
    )
    fit: Fit = Field(
        "pad",
        description="`pad` keeps the aspect ratio and fills the rest with `resize.fill`, `reflect` with the mirrored "
        "image; `squash` stretches the image",
    )
    width: Pixels = Field(description="of the model inputs, in pixels; images are shrunk once, by area")
    height: Pixels = Field(description="of the model inputs, in pixels")

    @model_validator(mode="after")
    def _masks_lie_in_crops(self) -> "InputSettings":
        if self.region == "full_image" and self.uses_masks:
            key, only, found = "mask_margin", "null", str(self.mask_margin)
            if self.background != "keep":
                key, only, found = "background", "keep", self.background
            raise ValueError(
                f"{key}: expected {only} with region full_image, for masks are made of crops, found {found}; to mask "
                "whole photos, set crop.mode to full_image and region to box"
            )
        return self

    @property
    def frame_wh(self) -> tuple[int, int]:
        """The frame's width and height in pixels."""
        return self.width, self.height

    @property
    def uses_masks(self) -> bool:
        """Whether masks are needed."""
        return self.background != "keep" or self.mask_margin is not None


class _NamesInput(Settings):
    """The key `input` of an entry of `models`."""

    input: str


def input_names(path: Path) -> dict[str, str]:
    """The name of the input of each model of params.yaml, by the model's name. Raises SettingsError."""
    models = settings.load(path).get("models") or {}
    return {name: settings.read(path, f"models.{name}", _NamesInput, subset=True).input for name in models}


def read_used(path: Path, models: Iterable[str] | None = None) -> dict[str, InputSettings]:
    """The entries of `inputs` that `models` name, by default all models, sorted by name.

    Raises SettingsError for a name that is no entry.
    """
    names = input_names(path)
    chosen = names if models is None else {model: names[model] for model in models}
    known = settings.load(path).get("inputs") or {}
    for model, name in chosen.items():
        if name not in known:
            text = f"models.{model}.input: expected an entry of `inputs`, found `{name}`"
            raise SettingsError(f"{path}: {text}{suggestion(name, known)}")
    return {name: settings.read(path, f"inputs.{name}", InputSettings) for name in sorted(set(chosen.values()))}


def any_uses_masks(path: Path) -> bool:
    """Whether any model of params.yaml needs masks; else no segmenter runs."""
    return any(item.uses_masks for item in read_used(path).values())
