"""Evaluate boxes and masks on real photographs with ground truth, by the functions of the stages.

The folder contains `images/`, `masks/` (8-bit PNG by the photos' names, 255 = car) and `boxes.csv` (file, x_min, y_min,
x_max, y_max; pixels, right and bottom exclusive), with one main car per photo.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from benchmarks import timing
from stages.core import archive, tables
from stages.core.archive import Archive
from stages.core.settings import read as read_settings
from stages.core.shard_writer import ShardFolder
from stages.crop.cropping import select_boxes, write_crops
from stages.crop.settings import CropSettings
from stages.detect import detector
from stages.detect.detection import PhotoRow, detect_all, to_rows
from stages.detect.settings import DetectSettings
from stages.images import detection_metrics, images
from stages.images.boxes import COLUMNS as CORNERS
from stages.mask.masking import write_masks
from stages.mask.settings import MaskSettings
from stages.networks.catalogue import DETECTORS
from stages.sample import score
from stages.sample.score import MaskSources
from stages.schemas import masks
from stages.schemas.shards import ONE_SHARD
from stages.scoring.scores import wilson
from stages.segment.segmentation import Crop, segment_all
from stages.segment.segmenter import load_network
from stages.segment.settings import SegmenterSettings, SegmentSettings
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings


def read_photos(folder: Path) -> pd.DataFrame:
    """The photos as rows of a manifest (path relative to `folder`), with their true boxes as `true_x_min` ..."""
    truth = tables.read(folder / "boxes.csv", {"file": "str", **dict.fromkeys(CORNERS, "float")})
    rows = []
    for name in truth["file"]:
        content = (folder / "images" / name).read_bytes()
        height, width = images.decode(content).shape[:2]
        rows.append((images.image_id(content), f"images/{name}", "ok", "", width, height))
    photos = pd.DataFrame(rows, columns=["image_id", "path", "status", "reason", "width", "height"])
    # The stages are not told the true boxes.
    photos = photos.assign(split="test", **dict.fromkeys(CORNERS, np.nan))
    return photos.join(truth[CORNERS].add_prefix("true_"))


def choose_boxes(photos: pd.DataFrame, folder: Path, networks: Path, settings: Path) -> pd.DataFrame:
    """The rows of data/boxes.csv for the photos, by the detect and crop stages."""
    detect = read_settings(settings, "detect", DetectSettings)
    spec = DETECTORS[detect.network]
    network = detector.load_network(detect, networks / spec.file)
    rows = list(map(PhotoRow, photos["image_id"], photos["path"], photos["split"]))
    sources = Photos(SourceSettings(source=str(folder)))
    detected = [to_rows(name, boxes, spec.classes) for name, boxes in detect_all(rows, sources, network, spec, detect)]
    return select_boxes(photos, pd.concat(detected, ignore_index=True), read_settings(settings, "crop", CropSettings))


def write_all_masks(chosen: pd.DataFrame, folder: Path, out: Path, networks: Path, settings: Path) -> dict[str, float]:
    """Write crops, maps and masks to `out`, by the functions of the stages; return seconds per crop by segmenter."""
    crop_rule, mask_rule = read_settings(settings, "crop", CropSettings), read_settings(settings, "mask", MaskSettings)
    segment = read_settings(settings, "segment", SegmentSettings)
    wanted = chosen[chosen["status"] == "ok"]
    sources = Photos(SourceSettings(source=str(folder)))
    write_crops(
        ShardFolder(out / "crops", out / "memory" / "crops"), sources, crop_rule, wanted.assign(split="test"), ONE_SHARD
    )
    image_ids, crops, maps, seconds = wanted["image_id"], Archive(out / "crops"), {}, {}
    cut = [Crop(image_id, image_id) for image_id in image_ids]
    for name in mask_rule.weights:
        view = read_settings(settings, f"segmenters.{name}", SegmenterSettings)
        network, started = load_network(view, segment, networks / view.spec.file), time.perf_counter()
        with archive.writing(out / name / "00000.zip") as add:
            for image_id, saliency_map in segment_all(cut, crops, network, view, segment.inference.batch_size):
                add(masks.file_name(image_id), images.encode(saliency_map, ".png"))
        seconds[name] = (time.perf_counter() - started) / len(image_ids)
        maps[name] = Archive(out / name)
    write_masks(ShardFolder(out / "masks", out / "memory" / "masks"), image_ids, ONE_SHARD, crops, maps, mask_rule)
    return seconds


def mask_ious(chosen: pd.DataFrame, folder: Path, out: Path, settings: Path) -> pd.DataFrame:
    """The IoU of each photo's true mask with the averaged mask, in column "", and with that of each segmenter."""
    margin, weights = (
        read_settings(settings, "crop", CropSettings).margin,
        read_settings(settings, "mask", MaskSettings).weights,
    )
    maps = {name: Archive(out / name) for name in weights}
    sources = MaskSources(Archive(out / "masks"), folder / "masks", maps)
    rows = [row | {"path": Path(str(row["path"])).name} for row in chosen.to_dict("records")]
    return pd.DataFrame([score.mask_ious(margin, sources, row) for row in rows], columns=["", *weights])


def share(hits: np.ndarray) -> dict[str, float]:
    """The share of `(N,)` hits with Wilson's 95 % interval."""
    low, high = wilson(float(hits.mean()), len(hits))
    return {"n": len(hits), "value": float(hits.mean()), "low": low, "high": high}


def interval(values: np.ndarray, statistic: Callable[..., np.ndarray]) -> dict[str, float]:
    """`statistic` of `(N,)` values with the 95 % percentile interval of 9999 bootstrap samples (Efron 1979)."""
    samples = bootstrap((values,), statistic, vectorized=True, method="percentile", rng=np.random.default_rng(0))
    low, high = samples.confidence_interval
    return {"n": len(values), "value": float(statistic(values)), "low": float(low), "high": float(high)}


def summarise(box_ious: np.ndarray, mask_ious: np.ndarray) -> pd.DataFrame:
    """A row per figure: n, value and its 95 % interval. Rows on masks leave out photos without one."""
    masked = mask_ious[~np.isnan(mask_ious)]
    figures = {
        "boxes at IoU 0.5": share(box_ious >= 0.5),
        "boxes at IoU 0.75": share(box_ious >= 0.75),
        "boxes, mean IoU": interval(box_ious, np.mean),
        "masks, mean IoU": interval(masked, np.mean),
        "masks, median IoU": interval(masked, np.median),
        "masks below IoU 0.5": share(masked < 0.5),
    }
    return pd.DataFrame(figures).T


def main() -> None:
    """Print the figures and the photos with the lowest mask IoU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the photographs and their ground truth")
    parser.add_argument("--networks", type=Path, default=Path("models/pretrained"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    arguments = parser.parse_args()
    photos = read_photos(arguments.folder)
    chosen = choose_boxes(photos, arguments.folder, arguments.networks, arguments.params)
    box_ious = detection_metrics.box_ious(
        chosen[CORNERS].to_numpy(float), photos[[f"true_{side}" for side in CORNERS]].to_numpy()
    )
    with tempfile.TemporaryDirectory() as out:
        seconds = write_all_masks(chosen, arguments.folder, Path(out), arguments.networks, arguments.params)
        ious = mask_ious(chosen, arguments.folder, Path(out), arguments.params)
    averaged = ious[""].to_numpy(dtype=np.float64)
    timing.show(summarise(box_ious, averaged), f"{arguments.folder}: {len(photos)} photos")
    alone = {name: ious[name].to_numpy(dtype=np.float64) for name in seconds}
    gains = pd.DataFrame(detection_metrics.paired_gains(averaged, alone)).T.assign(**{"s per crop": pd.Series(seconds)})
    timing.show(gains, "each segmenter alone, and the gain of the averaged mask over it, with its 95 % interval")
    worst = pd.DataFrame({"path": photos["path"], "box IoU": box_ious, "mask IoU": averaged})
    timing.show(worst.sort_values(["mask IoU", "path"]).head(5), "lowest masks")


if __name__ == "__main__":
    main()
