"""Detected boxes and masks against the true ones."""

from typing import Any

import cv2
import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from stages.images import letterbox
from stages.images.overlap import box_iou, mask_iou


def box_ious(chosen: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The IoU, 0..1, of each chosen box with its true one, `(N, 4)` both; NaN rows, no box, have IoU 0."""
    return np.where(np.isnan(chosen).any(axis=1), 0.0, box_iou(np.nan_to_num(chosen), true))


def crop_mask_iou(mask: np.ndarray, window: tuple[int, int, int, int], true: np.ndarray) -> float:
    """The IoU, 0..1, of a crop's mask `(h, w)` with the true mask `(H, W)` of its photo, both uint8, cut at 50 %.

    `window` is the crop's x_min, y_min, x_max, y_max in the photo; the mask of a crop that was shrunk is enlarged to
    that size. True pixels outside the crop count as missed. Raises ValueError on a mask of other proportions.
    """
    x_min, y_min, x_max, y_max = window
    width, height = x_max - x_min, y_max - y_min
    longer = min(max(mask.shape), max(width, height))
    shrunk = letterbox.place(width, height, (longer, longer))
    if mask.shape != (shrunk.height, shrunk.width):
        raise ValueError(f"expected a mask of {height} x {width} (H x W) or as much smaller, found {mask.shape}")
    whole = np.zeros(true.shape, bool)
    whole[y_min:y_max, x_min:x_max] = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) > 127
    return mask_iou(whole, true > 127)


def summarise(box_overlaps: np.ndarray, mask_overlaps: np.ndarray) -> dict[str, Any]:
    """Recall at IoU 0.5 and 0.75, mean and median IoU, share of masks below 0.5; NaN masks are left out."""
    masks = pd.Series(mask_overlaps, dtype="float64").dropna()
    figures = {"mean_iou": masks.mean(), "median_iou": masks.median(), "share_below_half": (masks < 0.5).mean()}
    return {
        "detector": {
            "n": len(box_overlaps),
            "recall_at_50": round(float((box_overlaps >= 0.5).mean()), 4),
            "recall_at_75": round(float((box_overlaps >= 0.75).mean()), 4),
            "mean_iou": round(float(box_overlaps.mean()), 4),
        },
        # JSON has no NaN: without any mask there are no figures.
        "mask": {"n": len(masks)} | {name: round(float(value), 4) for name, value in figures.items() if len(masks)},
    }


def paired_gains(averaged: np.ndarray, alone: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """The gain of the averaged mask over each segmenter alone, from the IoUs `(N,)` with the true masks.

    For each name the mean IoU alone, and the mean difference `gain` with its 95 % interval `low` to `high`, the
    percentiles of 9999 paired bootstrap samples (Efron, Tibshirani: An Introduction to the Bootstrap, chapter 13).
    Photos without a mask (NaN) are left out.
    """
    return {name: _gain(averaged, ious) for name, ious in alone.items()}


def _gain(averaged: np.ndarray, alone: np.ndarray) -> dict[str, float]:
    has_both = ~(np.isnan(averaged) | np.isnan(alone))
    differences = (averaged - alone)[has_both]
    if len(differences) < 2:
        return {}
    rng = np.random.default_rng(0)
    interval = bootstrap((differences,), np.mean, vectorized=True, method="percentile", rng=rng).confidence_interval
    figures = {
        "mean_iou": alone[has_both].mean(),
        "gain": differences.mean(),
        "low": interval.low,
        "high": interval.high,
    }
    return {name: round(float(value), 4) for name, value in figures.items()}
