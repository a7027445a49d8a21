"""How well probabilities are calibrated: reliability, and expected calibration error."""

import numpy as np
import pandas as pd

_N_BINS = 15
_N_DRAWS = 1000
# Photos drawn at once: memory is bounded, some 500 MiB, for any number of photos.
_MAX_DRAWN = 2**24


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return a row per bin of confidence that holds a photo: `confidence` and `accuracy` (means), `photos`."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    frame = pd.DataFrame({"confidence": confidence, "accuracy": right.astype(float), "photos": 1})
    found = frame.groupby(_bins(confidence)).agg({"confidence": "mean", "accuracy": "mean", "photos": "sum"})
    return found.reset_index(drop=True)


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the expected calibration error of the likeliest class, 0..1, over 15 bins of equal width.

    Mean distance of confidence and accuracy, bins weighed by their photos (Naeini et al. 2015; Guo et al. 2017,
    section 2). With few photos it is far from zero for the best of probabilities: see `ece_if_calibrated`.
    """
    table = reliability(labels, probabilities)
    distances = (table["confidence"] - table["accuracy"]).abs()
    return float((distances * table["photos"]).sum() / len(labels))


def ece_if_calibrated(probabilities: np.ndarray, seed: int = 0) -> float:
    """Return the mean calibration error that `probabilities` (N, C), N > 0, would have if they were calibrated.

    A thousand times, whether the likeliest class is the true one is drawn with its own probability.
    """
    confidence = probabilities.max(axis=1)
    generator, at_once = np.random.default_rng(seed), max(1, _MAX_DRAWN // len(confidence))
    members = _bins(confidence)[None, :] == np.arange(_N_BINS)[:, None]
    gaps = []
    for start in range(0, _N_DRAWS, at_once):
        right = generator.random((min(at_once, _N_DRAWS - start), len(confidence))) < confidence
        gaps.append((right - confidence) @ members.T)
    return float(np.abs(np.concatenate(gaps)).sum(axis=1).mean() / len(confidence))


def _bins(confidence: np.ndarray) -> np.ndarray:
    """The bin 0..14 of each confidence; bins are closed above, so that 1 lies in the last."""
    return np.clip(np.ceil(confidence * _N_BINS).astype(int) - 1, 0, _N_BINS - 1)
