"""Show all of it on one page: what became of every photo, where the models err, and how sure the result is."""

import argparse
from pathlib import Path

from stages.core import atomic, command, progress
from stages.core.archive import Archive
from stages.core.settings import read as read_settings
from stages.report import page, report_data
from stages.report.galleries import GalleryBuilder
from stages.report.report_data import Files
from stages.report.settings import ReportSettings
from stages.report.thumbnails import ArchiveThumbnails
from stages.schemas import class_list, manifest


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="the table of the ensemble")
    for name in ("params", "manifest", "detections", "boxes", "masks", "letterbox", "suspects", "metrics", "classes"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("source", "crops", "mask-pictures", "pictures", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


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
    progress.summary("report", files=len(found.rows), KiB=len(html.encode()) // 1024)


if __name__ == "__main__":
    command.run(main)
