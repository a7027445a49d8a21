"""Name the class of new photos with the trained ensemble, through the same functions as the pipeline's stages."""

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


def find(sources: list[Path]) -> list[Path]:
    """The photos of files, of folders with all below them, and of CSVs with a column `path`, in order.

    Raises IngestError or TableError naming a folder without files, or a CSV that is none.
    """
    found = []
    for source in sources:
        if source.is_dir():
            found += [source / path for path in list_files(source)["path"]]
        elif source.suffix == ".csv":
            root = manifest.photo_root(source)
            found += [root / path for path in tables.read(source, {"path": "str"})["path"]]
        else:
            found.append(source)
    return found


COLUMNS = ("path", "label", "probability", "second_label", "second_probability", "note")


def predict(paths: list[Path], ensemble: Ensemble) -> pd.DataFrame:
    """One row per photo, with COLUMNS; a photo that cannot be read has a note alone."""
    rows: list[tuple[object, ...]] = []
    tracked = progress.track(ensemble.prepare.all(paths), len(paths), "photo", "predict")
    for group in batches.batched(tracked, ensemble.prepare.settings.detect.inference.batch_size):
        pictures = [prepared.picture for _, prepared in group if prepared.picture is not None]
        answers = iter(ensemble.classify(np.stack(pictures)) if pictures else ())
        for path, (picture, note) in group:
            named = ("", np.nan, "", np.nan) if picture is None else best_two(next(answers), ensemble.classes)
            rows.append((str(path), *named, note))
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


def submission(answers: pd.DataFrame, id_kind: str, columns: tuple[str, str]) -> pd.DataFrame:
    """A row per photo for a contest: an id, made of the path, and a label, under the names `columns`.

    Contests want an answer to every photo: one that cannot be read gets the label that the others have most often.
    """
    often = answers.loc[answers["label"] != "", "label"].mode()
    labels = answers["label"].replace("", often.iloc[0] if len(often) else "")
    return pd.DataFrame({columns[0]: [_IDS[id_kind](Path(path)) for path in answers["path"]], columns[1]: labels})


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sources", type=Path, nargs="+", metavar="PHOTO", help="photos, folders of them, CSVs with a column `path`"
    )
    parser.add_argument(
        "--model", type=Path, metavar="FOLDER", help="a folder that `stages.commands.bundle` made; else the project"
    )
    parser.add_argument("--out", type=Path, help="write the table here instead of printing it")
    parser.add_argument("--submission", type=Path, help="also write a contest's file: id and label of every photo")
    parser.add_argument("--id", choices=list(_IDS), default="stem", help="what of its path is a photo's id there")
    parser.add_argument("--columns", nargs=2, default=("id", "label"), metavar=("ID", "LABEL"), help="its column names")
    return parser.parse_args()


def main() -> None:
    """Parse, load, predict, write."""
    args = arguments()
    paths = find(args.sources)
    ensemble = inference_pipeline.from_bundle(args.model) if args.model else inference_pipeline.from_project()
    answers = predict(paths, ensemble)
    if args.out:
        tables.write(args.out, answers)
    else:
        print(answers.to_csv(index=False), end="")
    if args.submission:
        tables.write(args.submission, submission(answers, args.id, tuple(args.columns)))
    n_named = int((answers["label"] != "").sum())
    print(f"predict: {n_named} photos named, {len(answers) - n_named} not usable", file=sys.stderr)


if __name__ == "__main__":
    command.run(main)
