"""Classify new photos with the trained ensemble.

The ensemble is that of this project, or of a bundle.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.commands import inference_pipeline
from stages.commands.inference_pipeline import Ensemble
from stages.core import batches, command, progress, tables
from stages.sources.store import open_store
from stages.submission import submitting
from stages.submission.settings import SubmissionSettings
from stages.submission.submitting import PhotoPredictions


class ListedPhoto(NamedTuple):
    """The path of a photo, and whether it was named by the user or a table, not found in a folder."""

    path: Path
    is_named: bool


def list_photos(sources: list[Path]) -> list[ListedPhoto]:
    """The photos of files, of folders with all below them, and of CSV files with a column `path`, in order.

    Raises SourceError or TableError, which name a folder without files or a CSV file without that column.
    """
    photos = []
    for source in sources:
        if source.is_dir():
            found = open_store(str(source)).list_files()
            if not found:
                raise submitting.SubmissionError(f"{source}: expected photos, found no file")
            photos += [ListedPhoto(source / file.path, False) for file in found]
        elif source.suffix == ".csv":
            paths = tables.read(source, {"path": "str"})["path"]
            photos += [ListedPhoto(source.parent / path, True) for path in paths]
        else:
            photos.append(ListedPhoto(source, True))
    return photos


COLUMNS = ("path", "label", "probability", "second_label", "second_probability", "note")


def predict(photos: list[ListedPhoto], ensemble: Ensemble) -> PhotoPredictions:
    """The predictions of photos; `note` is a further column of their rows. A file that is no photo is left out.

    A photo that cannot be read has a `reason`, and the prior for its probabilities.
    """
    rows: list[tuple[str, str, str]] = []
    probabilities: list[np.ndarray] = []
    inputs = ensemble.preprocessor.run([photo.path for photo in photos])
    tracked = progress.track(zip(photos, inputs), len(photos), "photo", "predict")
    for batch in batches.batched(tracked, ensemble.preprocessor.settings.detect.inference.batch_size):
        readable = [model_input.image for _, (_, model_input) in batch if model_input.image is not None]
        predicted = iter(ensemble.classify(np.stack(readable)) if readable else ())
        for photo, (path, (image, note)) in batch:
            reason = note.partition(":")[0] if image is None else ""
            if photo.is_named or submitting.is_photo(str(path), reason):
                rows.append((str(path), reason, note))
                probabilities.append(ensemble.prior if image is None else next(predicted))
            elif image is not None:
                next(predicted)
    shape = (len(rows), len(ensemble.classes))
    table = pd.DataFrame(rows, columns=["path", "reason", "note"], dtype=str).assign(image_id="")
    return PhotoPredictions(table, np.array(probabilities, dtype=np.float64).reshape(shape), ensemble.classes)


def to_table(predicted: PhotoPredictions) -> pd.DataFrame:
    """One row per photo, with COLUMNS, probabilities of four digits; only path and note of one that cannot be read."""
    table = submitting.to_table(predicted).assign(note=predicted.rows["note"]).round(4)
    is_unread = table["reason"] != ""
    for name in COLUMNS[1:5]:
        empty = np.nan if name.endswith("probability") else ""
        table[name] = table[name].mask(is_unread, empty)
    return table[list(COLUMNS)]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sources", type=Path, nargs="+", metavar="PHOTO", help="photos, folders, or CSV files with a column `path`"
    )
    parser.add_argument(
        "--model", type=Path, metavar="FOLDER", help="a bundle, from `python -m stages bundle`; default: this project"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the predictions to a CSV file, do not print")
    parser.add_argument(
        "--submission", type=Path, metavar="FILE", help="also write a contest file: id and label of every photo"
    )
    parser.add_argument(
        "--id",
        choices=["stem", "name", "path"],
        default="stem",
        help="the photo's id in that file: its name without the ending (stem, the default), its name, or its path",
    )
    parser.add_argument(
        "--columns",
        nargs=2,
        default=("id", "label"),
        metavar=("ID", "LABEL"),
        help="the column names of that file; default: id label",
    )
    return parser.parse_args()


def main() -> None:
    """Load the ensemble, classify the photos, write or print the predictions."""
    args = arguments()
    rule = SubmissionSettings(id=args.id, id_column=args.columns[0], label_column=args.columns[1])
    photos = list_photos(args.sources)
    ensemble = inference_pipeline.from_bundle(args.model) if args.model else inference_pipeline.from_project()
    predicted = predict(photos, ensemble)
    # Ids that repeat are found before anything is written.
    contest_file = submitting.submission(predicted, rule) if args.submission else None
    if args.out:
        tables.write(args.out, to_table(predicted))
    else:
        print(to_table(predicted).to_csv(index=False), end="")
    if contest_file is not None:
        tables.write(args.submission, contest_file)
    unread = int((predicted.rows["reason"] != "").sum())
    counts = f"{len(predicted.rows) - unread} photos classified, {unread} not readable"
    print(f"predict: {counts}, {len(photos) - len(predicted.rows)} files are no photos", file=sys.stderr)


if __name__ == "__main__":
    command.run(main)
