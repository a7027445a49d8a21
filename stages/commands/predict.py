"""Classify new photos with the trained ensemble.

The ensemble is that of this project, or of a bundle.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from stages.commands import inference_pipeline
from stages.commands.inference_pipeline import Ensemble
from stages.core import batches, command, progress, tables
from stages.ingest.listing import list_files
from stages.schemas import manifest


def list_photos(sources: list[Path]) -> list[Path]:
    """The photos of files, of folders with all below them, and of CSV files with a column `path`, in order.

    Raises IngestError or TableError, which name a folder without files or a CSV file without that column.
    """
    photos = []
    for source in sources:
        if source.is_dir():
            photos += [source / path for path in list_files(source)["path"]]
        elif source.suffix == ".csv":
            root = manifest.photo_root(source)
            photos += [root / path for path in tables.read(source, {"path": "str"})["path"]]
        else:
            photos.append(source)
    return photos


COLUMNS = ("path", "label", "probability", "second_label", "second_probability", "note")


def predict(paths: list[Path], ensemble: Ensemble) -> pd.DataFrame:
    """One row per photo, with COLUMNS; for a photo that cannot be read only path and note are filled in."""
    rows: list[tuple[object, ...]] = []
    tracked = progress.track(ensemble.preprocessor.run(paths), len(paths), "photo", "predict")
    for batch in batches.batched(tracked, ensemble.preprocessor.settings.detect.inference.batch_size):
        inputs = [model_input.image for _, model_input in batch if model_input.image is not None]
        probabilities = iter(ensemble.classify(np.stack(inputs)) if inputs else ())
        for path, (image, note) in batch:
            best = ("", np.nan, "", np.nan) if image is None else best_two(next(probabilities), ensemble.classes)
            rows.append((str(path), *best, note))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def best_two(probabilities: np.ndarray, classes: list[str]) -> tuple[str, float, str, float]:
    """The likeliest class and its probability (four digits) of a row (C,), then the runner-up's."""
    first, second = np.argsort(-probabilities, kind="stable")[:2].tolist()
    return (
        classes[first],
        round(float(probabilities[first]), 4),
        classes[second],
        round(float(probabilities[second]), 4),
    )


_IDS: dict[str, Callable[[Path], str]] = {"stem": lambda path: path.stem, "name": lambda path: path.name, "path": str}


def submission(predictions: pd.DataFrame, id_kind: str, columns: tuple[str, str]) -> pd.DataFrame:
    """The file for a contest: an id, derived from the path, and a label for each photo, under the names `columns`.

    Contests expect a label for every photo: one that cannot be read gets the most frequent label of the others.
    """
    most_frequent = predictions.loc[predictions["label"] != "", "label"].mode()
    labels = predictions["label"].replace("", most_frequent.iloc[0] if len(most_frequent) else "")
    ids = [_IDS[id_kind](Path(path)) for path in predictions["path"]]
    return pd.DataFrame({columns[0]: ids, columns[1]: labels})


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
        choices=list(_IDS),
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
    paths = list_photos(args.sources)
    ensemble = inference_pipeline.from_bundle(args.model) if args.model else inference_pipeline.from_project()
    predictions = predict(paths, ensemble)
    if args.out:
        tables.write(args.out, predictions)
    else:
        print(predictions.to_csv(index=False), end="")
    if args.submission:
        tables.write(args.submission, submission(predictions, args.id, tuple(args.columns)))
    n_classified = int((predictions["label"] != "").sum())
    print(f"predict: {n_classified} photos classified, {len(predictions) - n_classified} not readable", file=sys.stderr)


if __name__ == "__main__":
    command.run(main)
