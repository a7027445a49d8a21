"""Write the report: one HTML page, and a strip of one photo's way."""

import argparse
from pathlib import Path

import numpy as np

from stages.core import atomic, command, progress, stale_files
from stages.core.archive import Archive
from stages.core.settings import load as load_settings
from stages.core.settings import read as read_settings
from stages.images import images
from stages.images.settings import read_used
from stages.report import model_card, model_card_data, page, report_data, strip
from stages.report.galleries import GalleryBuilder
from stages.report.heat_maps import HeatMapThumbnails, shown_models
from stages.report.report_data import Files, ReportData
from stages.report.settings import ReportSettings
from stages.report.thumbnails import ArchiveThumbnails
from stages.schemas import class_list
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="the predictions of the ensemble")
    for name in (
        "params",
        "manifest",
        "detections",
        "boxes",
        "masks",
        "splits",
        "issues",
        "corrections",
        "metrics",
        "probes",
        "classes",
    ):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("crops", "mask-images", "input-images", "models", "out", "strip"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def remove_stale(params: Path, metrics: Path, input_images: Path) -> None:
    """Remove figures and images of models, segmenters and inputs that params.yaml no longer names."""
    sections = load_settings(params)
    models, segmenters, inputs = (list(sections.get(name) or {}) for name in ("models", "segmenters", "inputs"))
    removed = stale_files.remove(metrics / "evaluate", models, "{}.json", "{}")
    removed += stale_files.remove(metrics / "probe", models, "{}.json")
    stale_files.print_removed("report", removed, "model")
    stale_files.print_removed("report", stale_files.remove(metrics / "segment", segmenters, "{}.json"), "segmenter")
    removed = stale_files.remove(input_images, inputs, "{}") + stale_files.remove(metrics / "resize", inputs, "{}.json")
    stale_files.print_removed("report", removed, "input")


def draw_strip(data: ReportData, thumbnails: ArchiveThumbnails, seed: int) -> np.ndarray:
    """One photo at each stage, `(H, W, 3)` uint8 RGB; one white pixel if no photo is cropped and masked."""
    photo = strip.example(data.rows, seed)
    blank = np.full((1, 1, 3), 255, np.uint8)
    if photo is None:
        return blank
    image_id = photo["image_id"]
    thumbnail = thumbnails.photo(photo["path"], image_id, photo["split"]).image
    detections = data.detections[data.detections["image_id"] == image_id]
    images_by_caption = {
        "photo": thumbnail,
        "detected boxes": None if thumbnail is None else strip.with_boxes(thumbnail, photo, detections),
        "crop": thumbnails.crop(image_id).image,
        "mask": thumbnails.masked(image_id).image,
        **{caption: model_input.image for caption, model_input in thumbnails.model_inputs(image_id).items()},
    }
    return strip.draw({name: blank if image is None else image for name, image in images_by_caption.items()})


def main() -> None:
    """Read the results, render the page, write."""
    args = arguments()
    settings = read_settings(args.params, "report", ReportSettings)
    remove_stale(args.params, args.metrics, args.input_images)
    files = Files(**{name: getattr(args, name) for name in Files._fields})
    data = report_data.read(files, class_list.read_classes(args.classes))
    photos = Photos(read_settings(args.params, "ingest", SourceSettings, subset=True))
    inputs = {name: Archive(args.input_images / name) for name in read_used(args.params)}
    thumbnails = ArchiveThumbnails(photos, Archive(args.crops), Archive(args.mask_images), inputs, settings.thumbnail)
    models = shown_models(args.params, args.models, data.ensemble["weights"], inputs)
    maps = HeatMapThumbnails(models, data.predicted.classes, thumbnails, thumbnails.masks)
    card = model_card.render(model_card_data.of_report(data, load_settings(args.params), args.metrics))
    html = page.render(data, GalleryBuilder(data.detections, thumbnails, settings, maps), card)
    atomic.write_text(args.out, html)
    atomic.write_bytes(args.strip, images.encode(draw_strip(data, thumbnails, settings.seed), ".jpg"))
    progress.summary("report", files=len(data.rows), KiB=len(html.encode()) // 1024)


if __name__ == "__main__":
    command.run(main)
