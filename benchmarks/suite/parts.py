"""The parts of the table: for each step of the pipeline what is measured, and what it is compared with."""

from dataclasses import dataclass
from typing import Literal

Reproducibility = Literal["bits", "metrics"]
BITS: Reproducibility = "bits"
METRICS: Reproducibility = "metrics"
# The rows that stand for the pipeline itself: with the arithmetic that `params.yaml` has, and restricted to AVX2.
DEFAULT, RESTRICTED = "pipeline", "pipeline_bits"


@dataclass(frozen=True)
class Contender:
    """One row: a function of this package, run in a process of its own.

    `work` is `module:function` below benchmarks.suite. `plain` and `limit` name the contenders of the same part that it
    is compared with: what a user would have otherwise, and the bare limit. `reproducibility` is that of its process.
    """

    name: str
    title: str
    work: str
    reproducibility: Reproducibility = METRICS
    plain: str = ""
    limit: str = ""


@dataclass(frozen=True)
class Part:
    """The contenders of a step; `needs_models` if its project needs trained models."""

    name: str
    contenders: tuple[Contender, ...]
    needs_models: bool = False


def _pipeline(work: str, plain: str = "", limit: str = "", mode: Reproducibility = METRICS) -> Contender:
    name = DEFAULT if mode == METRICS else RESTRICTED
    if limit and mode == BITS:
        limit = f"{limit}_{BITS}"
    return Contender(name, f"pipeline, {mode}", f"pipeline:{work}", mode, plain, limit)


PARTS = {
    part.name: part
    for part in (
        Part(
            "ingest",
            (
                _pipeline("ingest", "plain", "decode"),
                Contender("plain", "Pillow and imagehash, one loop", "plain:ingest"),
                Contender("decode", "JPEG decoding alone", "limits:decode_photos"),
                Contender("disk", "reading files alone", "limits:read_photos"),
            ),
        ),
        Part(
            "detect",
            (
                _pipeline("detect", "plain", "network"),
                _pipeline("detect", "plain", "network", BITS),
                Contender("plain", "ONNX Runtime, batch 1", "plain:detect"),
                Contender("gluoncv", "GluonCV, mxnet, its demo loop", "plain:gluoncv_detect", plain="plain"),
                Contender("network", "network alone, metrics", "limits:detector"),
                Contender("network_bits", "network alone, bits", "limits:detector", BITS),
            ),
        ),
        Part(
            "crop",
            (
                _pipeline("crop", "plain", "decode"),
                Contender("plain", "Pillow, one loop", "plain:crop"),
                Contender("decode", "JPEG decoding alone", "limits:decode_photos"),
            ),
        ),
        Part(
            "mask_step",
            (
                _pipeline("mask_step", "plain", "network"),
                _pipeline("mask_step", "plain", "network", BITS),
                Contender("plain", "ONNX Runtime, batch 1, one view", "plain:mask"),
                Contender("rembg", "rembg, u2netp, one view", "plain:rembg_mask", plain="plain"),
                Contender("network", "networks alone, all views, metrics", "limits:segmenters"),
                Contender("network_bits", "networks alone, all views, bits", "limits:segmenters", BITS),
            ),
        ),
        Part(
            "resize",
            (
                _pipeline("resize", "plain", "decode"),
                Contender("plain", "Pillow and NumPy, one loop", "plain:resize"),
                Contender("decode", "decoding of crops alone", "limits:decode_crops"),
            ),
        ),
        Part(
            "epoch",
            (
                _pipeline("epoch", "plain", "step"),
                Contender("plain", "Keras loader and fit, no augmentation", "plain_keras:epoch"),
                Contender(
                    "albumentations", "the same, with Albumentations", "plain_keras:augmented_epoch", plain="plain"
                ),
                Contender("step", "training step alone, one ready batch", "limits_keras:step"),
            ),
        ),
        Part(
            "evaluate",
            (
                _pipeline("evaluate", "plain", "network"),
                Contender("plain", "Keras loader and predict, one view", "plain_keras:evaluate"),
                Contender("network", "network alone, all views", "limits_keras:evaluate"),
            ),
            needs_models=True,
        ),
        Part(
            "predict",
            (
                Contender("cold_project", "one photo, cold, project", "pipeline:predict_cold_project"),
                Contender("cold_bundle", "one photo, cold, bundle", "pipeline:predict_cold_bundle"),
                Contender("warm", "one photo, warm, project", "pipeline:predict_warm"),
            ),
            needs_models=True,
        ),
    )
}
