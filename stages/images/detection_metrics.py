"""Chosen boxes and masks against known ones."""

from typing import Any

import cv2
import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from stages.images import boxes, letterbox


def box_ious(chosen: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The overlap (IoU, 0..1) of each chosen box with its true one, `(N, 4)` both; NaN rows, no box, overlap by 0."""
    return np.where(np.isnan(chosen).any(axis=1), 0.0, boxes.iou(np.nan_to_num(chosen), truth))


def crop_mask_iou(mask: np.ndarray, window: tuple[int, int, int, int], truth: np.ndarray) -> float:
    """The overlap (IoU, 0..1) of a crop's mask with the true mask of its photo, both uint8, cut at 50 %.

    `window` is the crop's x_min, y_min, x_max, y_max in the photo; the mask of a crop that was shrunk is brought
    to that size. True pixels outside the crop count as missed. Raises ValueError on a mask of other proportions.
    """
    x_min, y_min, x_max, y_max = window
    width, height = x_max - x_min, y_max - y_min
    longer = min(max(mask.shape), max(width, height))
    shrunk = letterbox.place(width, height, (longer, longer))
    if mask.shape != (shrunk.height, shrunk.width):
        raise ValueError(f"expected a mask of {height} x {width} (H x W) or as much smaller, found {mask.shape}")
    mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    found, true = mask > 127, truth > 127
    both = int((found & true[y_min:y_max, x_min:x_max]).sum())
    either = int(found.sum()) + int(true.sum()) - both
    return both / either if either else 1.0


def summarise(box_overlaps: np.ndarray, mask_overlaps: np.ndarray) -> dict[str, Any]:
    """Recall at IoU 0.5 and 0.75, mean and median overlaps, share of masks below 0.5; NaN masks are left out."""
    masks = pd.Series(mask_overlaps, dtype="float64").dropna()
    of_masks = {"mean_iou": masks.mean(), "median_iou": masks.median(), "share_below_half": (masks < 0.5).mean()}
    return {
        "detector": {
            "n": len(box_overlaps),
            "recall_at_50": round(float((box_overlaps >= 0.5).mean()), 4),
            "recall_at_75": round(float((box_overlaps >= 0.75).mean()), 4),
            "mean_iou": round(float(box_overlaps.mean()), 4),
        },
        # JSON knows no NaN, so without any mask nothing is said but that.
        "mask": {"n": len(masks)} | {name: round(float(score), 4) for name, score in of_masks.items() if len(masks)},
    }


def paired_gains(averaged: np.ndarray, alone: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """What the averaged mask gains over each segmenter alone, from overlaps `(N,)` with the true masks.

    For each name the mean overlap alone, and the mean difference `gain` with its 95 % interval `low` to `high`, the
    percentiles of 9999 paired bootstrap samples (Efron, Tibshirani: An Introduction to the Bootstrap, chapter 13).
    Photos without a mask (NaN) are left out.
    """
    return {name: _gain(averaged, scores) for name, scores in alone.items()}


def _gain(averaged: np.ndarray, alone: np.ndarray) -> dict[str, float]:
    known = ~(np.isnan(averaged) | np.isnan(alone))
    differences = (averaged - alone)[known]
    if len(differences) < 2:
        return {}
    rng = np.random.default_rng(0)
    drawn = bootstrap((differences,), np.mean, vectorized=True, method="percentile", rng=rng).confidence_interval
    scores = {"mean_iou": alone[known].mean(), "gain": differences.mean(), "low": drawn.low, "high": drawn.high}
    return {name: round(float(score), 4) for name, score in scores.items()}
