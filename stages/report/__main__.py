"""Show all of it on one page: what became of every photo, where the models err, and how sure the result is."""

import argparse
from pathlib import Path

import numpy as np

from stages.core import atomic, command, progress
from stages.core.archive import Archive
from stages.core.settings import read as read_settings
from stages.images import images
from stages.report import page, report_data, strip
from stages.report.galleries import GalleryBuilder
from stages.report.report_data import Files, ReportData
from stages.report.settings import ReportSettings
from stages.report.thumbnails import ArchiveThumbnails
from stages.schemas import class_list, manifest


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="the table of the ensemble")
    for name in ("params", "manifest", "detections", "boxes", "masks", "letterbox", "suspects", "metrics", "classes"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("source", "crops", "mask-pictures", "pictures", "out", "strip"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def draw_strip(data: ReportData, thumbnails: ArchiveThumbnails, seed: int) -> np.ndarray:
    """One photo on its way through the pipeline, `(H, W, 3)` uint8 RGB; white where no photo went all the way."""
    photo = strip.example(data.rows, seed)
    blank = np.full((1, 1, 3), 255, np.uint8)
    if photo is None:
        return blank
    image_id = photo["image_id"]
    thumbnail = thumbnails.photo(photo["path"], image_id).image
    detections = data.detections[data.detections["image_id"] == image_id]
    images_by_caption = {
        "photo": thumbnail,
        "detected boxes": None if thumbnail is None else strip.with_boxes(thumbnail, photo, detections),
        "crop": thumbnails.crop(image_id).image,
        "mask": thumbnails.masked(image_id).image,
        "model input": thumbnails.padded(photo["file"]).image,
    }
    return strip.draw({name: blank if image is None else image for name, image in images_by_caption.items()})


def main() -> None:
    """Parse, load, draw, write."""
    args = arguments()
    settings = read_settings(args.params, "report", ReportSettings)
    files = Files(**{name: getattr(args, name) for name in Files._fields})
    found = report_data.read(files, class_list.read_classes(args.classes))
    root = manifest.photo_root(args.source)
    album = ArchiveThumbnails(
        root, Archive(args.crops), Archive(args.mask_pictures), Archive(args.pictures), settings.thumbnail
    )
    html = page.render(found, GalleryBuilder(found.detections, album, settings))
    atomic.write_text(args.out, html)
    atomic.write_bytes(args.strip, images.encode(draw_strip(found, album, settings.seed), ".jpg"))
    progress.summary("report", files=len(found.rows), KiB=len(html.encode()) // 1024)


if __name__ == "__main__":
    command.run(main)
