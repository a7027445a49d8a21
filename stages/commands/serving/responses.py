"""What the server responds: the results of photos, the description of the ensemble, errors."""

import base64

import numpy as np
from pydantic import BaseModel, Field

from stages.commands.inference_pipeline import MainCarBox, ModelInputs
from stages.commands.trained_ensemble import PhotoResult
from stages.images import images
from stages.report import reasons

INTERNAL_ERROR = "internal_error"
_SENTENCES = {INTERNAL_ERROR: "The server failed on this photo; its log has the error."}
# As in the table of `predict`.
_DIGITS = 4


class ClassProbability(BaseModel):
    """A class and its probability."""

    label: str
    probability: float = Field(ge=0, le=1)


class PhotoBox(BaseModel):
    """A box in pixels of the upright photo, right and bottom exclusive, and the detector's score."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    score: float = Field(ge=0, le=1)


class ShownInput(BaseModel):
    """What the models with this input saw of a photo, as a JPEG file in base64."""

    input: str
    jpeg: str


class PhotoResponse(BaseModel):
    """The result of one photo. Where it cannot be used, `reason` is a code and `predictions` is empty."""

    name: str = Field(description="of the file, as it was sent")
    image_id: str = Field(description="first 16 hex digits of the SHA-256 of the file's bytes")
    reason: str = Field(description="why the photo cannot be used, a code; empty for a classified photo")
    note: str = Field(description="as `predict` writes it: reason and detail, or why there is no crop or mask")
    explanation: str = Field(description="the meaning of the codes in `reason` and `note`")
    width: int | None = Field(description="of the upright photo in pixels")
    height: int | None = Field(description="of the upright photo in pixels")
    box: PhotoBox | None = Field(description="of the main car; null where the whole photo was used")
    predictions: list[ClassProbability] = Field(description="the likeliest classes, the likeliest first")
    inputs: list[ShownInput] = Field(description="what the models saw, with `inputs=true`")
    heat_map: str | None = Field(
        None,
        description="with `explain=true`, where the models looked for the likeliest class: the crop in grey below a "
        "heat map, a PNG file as data URL; null where the photo cannot be used",
    )


class PredictResponse(BaseModel):
    """The results of a request, in the order of its files."""

    photos: list[PhotoResponse]


class ErrorResponse(BaseModel):
    """Why a request is refused."""

    detail: str


class ModelWeight(BaseModel):
    """A model of the ensemble: its name, weight, backbone and input."""

    name: str
    weight: float
    backbone: str
    input: str


class InputDescription(BaseModel):
    """An input of the models: its size in pixels, the part of the photo, how it fits, the background."""

    name: str
    width: int
    height: int
    region: str
    background: str
    fit: str
    mask_margin: float | None = Field(description="around the mask that the crop is cut to; null: the whole crop")


class EnsembleResponse(BaseModel):
    """The ensemble that predicts."""

    format: int = Field(description="of the bundle")
    manifest_sha256: str = Field(description="of the bundle's manifest, which holds the hashes of all its files")
    classes: list[str]
    models: list[ModelWeight]
    inputs: list[InputDescription]
    temperature: float
    detector: str
    segmenters: list[str]
    tta: str = Field(description="mode of the test-time augmentation")
    limits: dict[str, int | float]
    card: str = Field(description="the model card in Markdown; empty for a bundle without one")


class HealthResponse(BaseModel):
    """The state of the server."""

    status: str
    waiting: int = Field(description="photos that wait for the networks")


def photo_response(result: PhotoResult, made: ModelInputs, classes: list[str], is_shown: bool) -> PhotoResponse:
    """The response for a photo, with all classes, and without its name and id; `is_shown` adds what the models saw."""
    is_read = result.probabilities is not None
    width, height = made.size_wh if all(made.size_wh) else (None, None)
    shown = (made.images or {}) if is_shown else {}
    return PhotoResponse(
        name="",
        image_id="",
        reason="" if is_read else _reason(result.note),
        note=result.note,
        explanation=explain(result.note, is_read),
        width=width,
        height=height,
        box=_box(made.box),
        predictions=_ranked(result.probabilities, classes),
        inputs=[ShownInput(input=name, jpeg=_jpeg(image)) for name, image in shown.items()],
    )


def failure() -> PhotoResponse:
    """The response for a photo on which the code failed."""
    note = f"{INTERNAL_ERROR}: see the log of the server"
    return photo_response(PhotoResult(None, note), ModelInputs(None, note), [], False)


def explain(note: str, is_read: bool) -> str:
    """The meaning of the codes in a note: the first one where the photo cannot be used, else all of them."""
    codes = [code for code in note.split(", ") if code] if is_read else [_reason(note)]
    return " ".join(_SENTENCES[code] if code in _SENTENCES else reasons.explain(code) for code in codes)


def _reason(note: str) -> str:
    return note.partition(":")[0]


def _box(box: MainCarBox | None) -> PhotoBox | None:
    if box is None:
        return None
    x_min, y_min, x_max, y_max = box.corners.tolist()
    return PhotoBox(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max, score=box.score)


def _ranked(probabilities: np.ndarray | None, classes: list[str]) -> list[ClassProbability]:
    if probabilities is None:
        return []
    rounded = probabilities.round(_DIGITS).tolist()
    ranks = np.argsort(-probabilities, kind="stable").tolist()
    return [ClassProbability(label=classes[number], probability=rounded[number]) for number in ranks]


def png_url(image: np.ndarray | None) -> str | None:
    """A picture `(H, W, 3)` uint8 RGB as a data URL; None for None."""
    if image is None:
        return None
    return "data:image/png;base64," + base64.b64encode(images.encode(image, ".png")).decode("ascii")


def _jpeg(image: np.ndarray) -> str:
    return base64.b64encode(images.encode(image, ".jpg")).decode("ascii")
