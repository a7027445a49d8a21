"""Do the networks look at backgrounds? The share of their heat maps inside the car's mask, on the photos of test.

Each map explains the class that the ensemble predicts. `as coarse` is what a map would have that is the mask itself, at
the resolution of the feature map. `head` and `4 layers` are the mean rank correlations of the maps with those of the
same network after the weights of its head, or of its last four layers, were put into random order (Adebayo et al. 2018,
arXiv:1810.03292, cascading randomisation). Intervals are of 95 %, by a bootstrap over groups of near-duplicates.
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnx
import pandas as pd
from onnx import numpy_helper
from scipy.stats import spearmanr

from benchmarks import timing
from stages.core import command, progress
from stages.core.archive import Archive
from stages.images import archived, frame, heat_overlay, letterbox
from stages.images.mask_window import part_shown
from stages.images.settings import InputSettings, input_names, read_used
from stages.networks import heat_maps
from stages.networks.heat_maps import HeatMapFn
from stages.networks.settings import InferenceSettings
from stages.schemas import class_list, masks, model_inputs, predictions, split_data

_SIDE = 160
_N_RESAMPLES = 2000
_RULE = InferenceSettings(batch_size=1, engine="openvino", precision="f32")


class TestPhoto(NamedTuple):
    """A photo of test: its id and group, the class to explain, its mask `(H, W)` float, 1 = wholly the car."""

    image_id: str
    group: str
    predicted: int
    mask: np.ndarray


def read_photos(data: Path) -> list[TestPhoto]:
    """The photos of test whose mask is used."""
    classes = class_list.read_classes(data / "classes.txt")
    test, table = split_data.read(data / "splits.csv", classes)["test"], masks.read(data / "masks.csv")
    found = predictions.read(data / "ensemble_predictions.csv", classes)
    predicted = dict(zip(found.image_ids, found.probabilities.argmax(axis=1).tolist()))
    is_masked = set(table.loc[table["is_masked"], "image_id"])
    archive = Archive(data / "masks")
    return [
        TestPhoto(
            image_id, group, predicted[image_id], _reduced(archived.read_mask(archive, masks.file_name(image_id)))
        )
        for image_id, group in zip(test.image_ids, test.groups)
        if image_id in is_masked
    ]


def _reduced(mask: np.ndarray) -> np.ndarray:
    place = letterbox.place(mask.shape[1], mask.shape[0], (_SIDE, _SIDE))
    return letterbox.resize(mask, place.width, place.height).astype(np.float64) / 255


def permuted(path: Path, out: Path, n_weights: int) -> Path:
    """Write the network at `path` to `out` with its last `n_weights` weights, from the head up, in random order."""
    model, rng = onnx.load(path), np.random.default_rng(0)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    used = [name for node in reversed(model.graph.node) for name in node.input if name in weights]
    for name in [name for name in used if len(weights[name].dims) > 1][:n_weights]:
        values = numpy_helper.to_array(weights[name])
        weights[name].CopyFrom(numpy_helper.from_array(rng.permuted(values.ravel()).reshape(values.shape), name))
    onnx.save(model, out)
    return out


def shares(explain: HeatMapFn, images: list[np.ndarray], photos: list[TestPhoto], desc: str) -> list[np.ndarray]:
    """The map `(h, w)` of each photo on the grid of the network."""
    pairs = zip(images, photos)
    return [
        explain(image[None], np.array([photo.predicted]))[0]
        for image, photo in progress.track(pairs, len(photos), "photo", desc)
    ]


def inside(maps: list[np.ndarray], photos: list[TestPhoto], item: InputSettings) -> np.ndarray:
    """The share `(N,)` of the mass of each map inside the mask, of what lies on the crop."""
    found = []
    for shown, photo in zip(maps, photos):
        size_wh = photo.mask.shape[::-1]
        window = part_shown(_uint8(photo.mask), item.mask_margin).of((0, 0, *size_wh))
        on_crop = heat_overlay.on_window(shown, item.frame_wh, item.fit, window, size_wh)
        found.append((on_crop * photo.mask).sum())
    return np.array(found)


def as_coarse(photo: TestPhoto, item: InputSettings, grid_hw: tuple[int, int]) -> np.ndarray:
    """The mask on the grid of the feature map, as a map."""
    mask = _uint8(photo.mask)
    x_min, y_min, x_max, y_max = part_shown(mask, item.mask_margin).of((0, 0, *mask.shape[::-1]))
    shown = cv2.cvtColor(mask[y_min:y_max, x_min:x_max], cv2.COLOR_GRAY2RGB)
    fitted = frame.fit(shown, item.frame_wh, item.fit, (0, 0, 0))[..., 0]
    return cv2.resize(fitted.astype(np.float64), grid_hw[::-1], interpolation=cv2.INTER_AREA)


def _uint8(mask: np.ndarray) -> np.ndarray:
    return (255 * mask).round().astype(np.uint8)


def interval(values: np.ndarray, groups: list[str]) -> str:
    """The mean of `values` (N,) with its interval over groups, in percent."""
    number, _ = pd.factorize(np.array(groups))
    sums, sizes = np.bincount(number, values), np.bincount(number)
    drawn = np.random.default_rng(0).integers(0, len(sizes), (_N_RESAMPLES, len(sizes)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [2.5, 97.5])
    return f"{100 * values.mean():.1f} ({100 * low:.1f} to {100 * high:.1f})"


def correlation(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """The mean rank correlation of two maps of each photo."""
    return float(np.nanmean([spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second)]))


def row(name: str, data: Path, network: Path, item: tuple[str, InputSettings], photos: list[TestPhoto]) -> dict:
    """The figures of one model."""
    archive, groups = Archive(data / "model_inputs" / item[0]), [photo.group for photo in photos]
    files = model_inputs.file_names(archive, [photo.image_id for photo in photos])
    images = [archived.read_image(archive, file) for file in files]
    maps = shares(heat_maps.load(network, _RULE), images, photos, name)
    area = np.array([photo.mask.mean() for photo in photos])
    own = inside(maps, photos, item[1])
    coarse = inside([as_coarse(photo, item[1], maps[0].shape) for photo in photos], photos, item[1])
    figures = {"input": item[0], "n": len(photos), "inside, %": interval(own, groups)}
    figures |= {"area, %": interval(area, groups), "as coarse, %": interval(coarse, groups)}
    with tempfile.TemporaryDirectory() as folder:
        for title, n_weights in (("head", 1), ("4 layers", 4)):
            other = permuted(network, Path(folder) / "model.onnx", n_weights)
            figures[title] = correlation(maps, shares(heat_maps.load(other, _RULE), images, photos, f"{name}, {title}"))
    return figures


def main() -> None:
    """Print a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("params", "params.yaml"), ("data", "data"), ("models", "models")):
        parser.add_argument(f"--{name}", type=Path, default=Path(default))
    args = parser.parse_args()
    items, photos = read_used(args.params), read_photos(args.data)
    rows = {
        model: row(model, args.data, args.models / model / "model.onnx", (name, items[name]), photos)
        for model, name in input_names(args.params).items()
    }
    timing.show(pd.DataFrame(rows).T, f"share of heat maps inside the car's mask, {len(photos)} photos of test")


if __name__ == "__main__":
    command.run(main)
