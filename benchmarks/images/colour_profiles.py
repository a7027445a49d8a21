"""How far colours are off when the profile of a photo in Display P3 or Adobe RGB is ignored, and when it is converted.

The photos, taken for sRGB, are written in each space as lossless files with its profile.
"""

import argparse
import io
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from benchmarks import timing
from stages.images import images
from tests.images import colour_profiles


class _Space(NamedTuple):
    primaries: tuple[tuple[float, float], ...]
    profile: bytes
    encode: colour_profiles.Encode


SPACES = {
    "Display P3": _Space(
        colour_profiles.DISPLAY_P3,
        colour_profiles.profile(colour_profiles.DISPLAY_P3),
        colour_profiles.srgb_encode,
    ),
    "Adobe RGB": _Space(
        colour_profiles.ADOBE_RGB,
        colour_profiles.profile(colour_profiles.ADOBE_RGB, colour_profiles.ADOBE_GAMMA, version=2),
        colour_profiles.gamma_encode(colour_profiles.ADOBE_GAMMA),
    ),
}


def differences(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The difference of each channel, `(H, W, 3)`, and Delta E 1976 of each pixel, `(H, W)`, of two uint8 images."""
    lab = [cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for image in (found, truth)]
    return np.abs(found.astype(int) - truth), np.linalg.norm(lab[0] - lab[1], axis=2)


def measure(photos: list[Path], space: _Space) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """The differences of each photo with its profile ignored, and converted."""
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"ignored": [], "converted": []}
    for path in photos:
        truth = images.decode(images.load(path))
        stored = colour_profiles.encoded(truth, space.primaries, space.encode).round().clip(0, 255).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(stored).save(stream, "PNG", icc_profile=space.profile)
        found["ignored"].append(differences(stored, truth))
        found["converted"].append(differences(images.decode(stream.getvalue()), truth))
    return found


def summarise(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Mean, 95th percentile and maximum over all pixels."""
    channels, delta_e = (np.concatenate([pair[place].ravel() for pair in pairs]) for place in range(2))
    return {
        "mean of 255": channels.mean(),
        "95 %": np.percentile(channels, 95),
        "max": channels.max(),
        "Delta E 1976": delta_e.mean(),
        "Delta E 95 %": np.percentile(delta_e, 95),
    }


def main() -> None:
    """Print the table for evenly chosen photos of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder of JPEG photos, searched with all folders in it")
    parser.add_argument("--photos", type=int, default=100)
    arguments = parser.parse_args()
    paths = sorted(arguments.folder.rglob("*.jpg"))
    chosen = [paths[place] for place in np.linspace(0, len(paths) - 1, min(arguments.photos, len(paths))).astype(int)]
    rows = {
        (name, profile): summarise(pairs)
        for name, space in SPACES.items()
        for profile, pairs in measure(chosen, space).items()
    }
    timing.show(pd.DataFrame(rows).T, f"{len(chosen)} photos; differences from the original")


if __name__ == "__main__":
    main()
