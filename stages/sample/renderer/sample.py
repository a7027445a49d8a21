"""The files of the embedded sample: their tasks, their scenes, and the table of the ground truth."""

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

# The part of a cut-off car beyond the frame; the part of the frame's width that each of two equal cars takes.
_CUT_OFF, _TWIN_SHARE = 0.78, 0.40
UNREADABLE = ("truncated", "empty", "not_an_image")
COLUMNS = ("path", "label", "kind", "x_min", "y_min", "x_max", "y_max", "visible")


@dataclass(frozen=True)
class RenderTask:
    """One file to render; `corruption` is None for a regular photo, `number` counts these from 1."""

    label: str
    number: int
    corruption: Corruption | None

    @property
    def path(self) -> PurePosixPath:
        """The photo's path below the photo folder."""
        name = self.corruption.name if self.corruption else f"{self.number:03d}.jpg"
        return PurePosixPath(self.label, f"{self.label}_{name}")

    @property
    def kind(self) -> str:
        """`car` for a regular photo, else the kind of its corruption."""
        return self.corruption.kind if self.corruption else "car"


@dataclass(frozen=True)
class Rendered:
    """A rendered file: the bytes of the photo and of the mask (None without a visible car), and the ground truth."""

    task: RenderTask
    photo: bytes
    mask: bytes | None
    box: Box | None
    visible: float | None


def tasks(photos_per_class: int) -> list[RenderTask]:
    """All files of the sample, sorted by path."""
    regular = [RenderTask(name, number, None) for name in BODIES for number in range(1, photos_per_class + 1)]
    return sorted(regular + [RenderTask(item.label, 0, item) for item in CORRUPTED], key=lambda task: task.path)


def photo_seed(seed: int, name: str) -> int:
    """A seed that depends only on the seed of the sample and the name of the photo."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")


def _conditions(kind: str, rng: np.random.Generator) -> Conditions:
    conditions = sample_conditions(rng)
    if kind == "car":
        return conditions
    share = float(rng.uniform(0.05, 0.07)) if kind == "small" else max(conditions.share, 0.5)
    share = _TWIN_SHARE if kind == "twins" else share
    cut = _CUT_OFF if kind == "cut_off" else 0.0
    return replace(conditions, weather="sunny", share=share, cut=cut, is_occluded=False, n_others=0)


def _draw(task: RenderTask, settings: SampleSettings) -> RenderedPhoto:
    """Render the photo of a file, or the regular photo that it copies."""
    source = task.corruption.source if task.corruption else None
    if source is not None:
        return _draw(RenderTask(*source, None), settings)
    rng = np.random.default_rng(photo_seed(settings.seed, str(task.path)))
    size_wh = (settings.width, settings.height)
    scene = sample_scene(task.label, size_wh, rng, _conditions(task.kind, rng))
    return render(_adapted(scene, task.kind, size_wh), size_wh)


def _adapted(scene: Scene, kind: str, size_wh: tuple[int, int]) -> Scene:
    """The scene adapted to the kind of file: without its car, with a person instead, or with a second equal car."""
    if kind == "twins":
        return with_twin(scene, size_wh)
    return replace(scene, car=None, has_person=kind == "person") if kind in ("no_car", "person") else scene


def make(task: RenderTask, settings: SampleSettings) -> Rendered:
    """Render one file. Deterministic: the same task and settings give the same bytes in any process."""
    cv2.setNumThreads(1)
    photo = _draw(task, settings)
    if task.corruption is None:
        content = encode.jpeg(photo.rgb, settings.jpeg_quality)
    else:
        content, photo = corrupt(photo, task.corruption, settings.jpeg_quality)
    box = None if task.kind in UNREADABLE else photo.box
    if box is None:
        return Rendered(task, content, None, None, None)
    return Rendered(task, content, encode.mask_png(photo.mask), box, photo.visible)


def ground_truth(rendered: list[Rendered]) -> pd.DataFrame:
    """One row per file, sorted by path; box and `visible` are empty if no car is visible."""
    rows = []
    for item in sorted(rendered, key=lambda item: item.task.path):
        box = item.box or (None,) * 4
        visible = None if item.visible is None else f"{item.visible:.4f}"
        rows.append((str(item.task.path), item.task.label, item.task.kind, *box, visible))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(COLUMNS[3:7], "Int64"))
