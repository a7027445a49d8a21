"""The embedded sample: which photos there are, what each is drawn from, and the truth about them."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import cv2
import numpy as np
import pandas as pd

from stages.sample.renderer import encode
from stages.sample.renderer.bodies import BODIES
from stages.sample.renderer.corrupted import CORRUPTED, Corruption, corrupt
from stages.sample.renderer.photo import Box, RenderedPhoto, render
from stages.sample.renderer.scene import Conditions, Scene, sample_conditions, sample_scene, with_twin
from stages.sample.settings import SampleSettings

# Of the car's extent, the part beyond the frame; of the frame's width, each of two equal cars.
_CUT_OFF, _TWIN_SHARE = 0.78, 0.40
UNREADABLE = ("truncated", "empty", "not_an_image")
COLUMNS = ("path", "label", "kind", "x_min", "y_min", "x_max", "y_max", "visible")


@dataclass(frozen=True)
class RenderTask:
    """One file to be made; `spoilt` is None for a regular photo, `number` counts those from 1."""

    label: str
    number: int
    spoilt: Corruption | None

    @property
    def path(self) -> PurePosixPath:
        """The photo's path below the photo folder."""
        name = self.spoilt.name if self.spoilt else f"{self.number:03d}.jpg"
        return PurePosixPath(self.label, f"{self.label}_{name}")

    @property
    def kind(self) -> str:
        """`car` for a regular photo, else what is wrong with it."""
        return self.spoilt.kind if self.spoilt else "car"


@dataclass(frozen=True)
class Rendered:
    """A finished file: the photo's bytes, the mask's bytes (None without a visible car) and the truth."""

    task: RenderTask
    photo: bytes
    mask: bytes | None
    box: Box | None
    visible: float | None


def tasks(photos_per_class: int) -> list[RenderTask]:
    """All files of the sample, sorted by path. Copies of photos beyond `photos_per_class` do not occur."""
    regular = [RenderTask(name, number, None) for name in BODIES for number in range(1, photos_per_class + 1)]
    return sorted(regular + [RenderTask(spoilt.label, 0, spoilt) for spoilt in CORRUPTED], key=lambda task: task.path)


def seed_of(seed: int, name: str) -> int:
    """A seed that depends on the sample's seed and a photo's name alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")


def _conditions(kind: str, rng: np.random.Generator) -> Conditions:
    conditions = sample_conditions(rng)
    if kind == "car":
        return conditions
    share = float(rng.uniform(0.05, 0.07)) if kind == "small" else max(conditions.share, 0.5)
    share = _TWIN_SHARE if kind == "twins" else share
    cut = _CUT_OFF if kind == "cut_off" else 0.0
    return replace(conditions, weather="sunny", share=share, cut=cut, is_occluded=False, n_others=0)


def _draw(task: RenderTask, params: SampleSettings) -> RenderedPhoto:
    """The photo that a file shows or repeats."""
    source = task.spoilt.source if task.spoilt else None
    if source is not None:
        return _draw(RenderTask(*source, None), params)
    rng = np.random.default_rng(seed_of(params.seed, str(task.path)))
    size_wh = (params.width, params.height)
    scene = sample_scene(task.label, size_wh, rng, _conditions(task.kind, rng))
    return render(_staged(scene, task.kind, size_wh), size_wh)


def _staged(scene: Scene, kind: str, size_wh: tuple[int, int]) -> Scene:
    """The scene as the kind of file asks: without its car, with a person in its place, with a second such car."""
    if kind == "twins":
        return with_twin(scene, size_wh)
    return replace(scene, car=None, has_person=kind == "person") if kind in ("no_car", "person") else scene


def make(task: RenderTask, params: SampleSettings) -> Rendered:
    """Make one file. Deterministic: the same task and parameters give the same bytes in any process."""
    cv2.setNumThreads(1)
    photo = _draw(task, params)
    if task.spoilt is None:
        content = encode.jpeg(photo.rgb, params.jpeg_quality)
    else:
        content, photo = corrupt(photo, task.spoilt, params.jpeg_quality)
    box = None if task.kind in UNREADABLE else photo.box
    if box is None:
        return Rendered(task, content, None, None, None)
    return Rendered(task, content, encode.mask_png(photo.mask), box, photo.visible)


def truth(rendered: list[Rendered]) -> pd.DataFrame:
    """One row per file, sorted by path; box and `visible` are empty where no car can be seen."""
    rows = []
    for item in sorted(rendered, key=lambda item: item.task.path):
        box = item.box or (None,) * 4
        visible = None if item.visible is None else f"{item.visible:.4f}"
        rows.append((str(item.task.path), item.task.label, item.task.kind, *box, visible))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(COLUMNS[3:7], "Int64"))
