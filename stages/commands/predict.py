"""Classify new photos with the trained ensemble.

The ensemble is that of this project, or of a bundle. With the engine `ray` it runs on the workers of a cluster.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stages.commands import clustered_prediction, run_settings, trained_ensemble
from stages.commands.trained_ensemble import EnsembleFiles, PhotoResult
from stages.core import command, csv_file, progress, settings
from stages.core.errors import UserError
from stages.core.runtime_settings import RuntimeSettings
from stages.images.settings import input_names
from stages.networks import cluster
from stages.sources.file_names import is_photo_name
from stages.sources.store import open_store
from stages.submission import submitting
from stages.submission.settings import SubmissionSettings
from stages.submission.submitting import PhotoPredictions

if TYPE_CHECKING:
    from stages.commands.explained_prediction import HeatMapFolder


class ListedPhoto(NamedTuple):
    """The path of a photo, and whether it was named by the user or a table, not found in a folder."""

    path: Path
    is_named: bool


def list_photos(sources: list[Path]) -> list[ListedPhoto]:
    """The photos of files, of folders with all below them, and of CSV files with a column `path`, in order.

    Raises SourceError, SubmissionError or TableError, which name a URL, a folder without files, or a CSV file without
    that column.
    """
    photos = []
    for source in sources:
        # pathlib makes one slash of two.
        if re.match(r"[a-z0-9]+:/", str(source)) and not source.exists():
            raise submitting.SubmissionError(f"{source}: expected photos on this machine, found a URL; download them")
        if source.is_dir():
            found = open_store(str(source)).list_files()
            if not found:
                raise submitting.SubmissionError(f"{source}: expected photos, found no file")
            photos += [ListedPhoto(source / file.path, False) for file in found]
        elif source.suffix == ".csv":
            paths = csv_file.read_column(source, "path")
            photos += [ListedPhoto(source.parent / path, True) for path in paths]
        else:
            photos.append(ListedPhoto(source, True))
    return photos


# What tables of UTF-8 cannot hold, or readers take for the end of a row: half characters and carriage returns.
_UNWRITABLE = re.compile("[\r\ud800-\udfff]")
COLUMNS = ("path", "label", "probability", "second_label", "second_probability", "note")


class PredictedPhotos(NamedTuple):
    """The predictions of photos, and a note about each."""

    predictions: PhotoPredictions
    notes: list[str]


def collect(
    photos: list[ListedPhoto], results: Iterable[tuple[int, PhotoResult]], classes: list[str], prior: np.ndarray
) -> PredictedPhotos:
    """The predictions of photos, from the result of each by its number, in any order.

    A file that is no photo is left out. A photo that cannot be read has a reason, and the `prior` (C,) for its
    probabilities.
    """
    probabilities, notes = np.tile(prior.astype(np.float64), (len(photos), 1)), [""] * len(photos)
    is_read = np.zeros(len(photos), bool)
    for number, result in progress.track(results, len(photos), "photo", "predict"):
        notes[number] = result.note
        if result.probabilities is not None:
            probabilities[number], is_read[number] = result.probabilities, True
    reasons = ["" if read else note.partition(":")[0] for read, note in zip(is_read, notes)]
    kept = [
        number
        for number, (photo, reason) in enumerate(zip(photos, reasons))
        if photo.is_named or submitting.is_photo(str(photo.path), reason)
    ]
    paths, no_ids = [str(photos[number].path) for number in kept], [""] * len(kept)
    predictions = PhotoPredictions(paths, no_ids, [reasons[number] for number in kept], probabilities[kept], classes)
    return PredictedPhotos(predictions, [notes[number] for number in kept])


def predict_paths(
    paths: list[Path], files: EnsembleFiles, engine: RuntimeSettings, heat_maps: "HeatMapFolder | None" = None
) -> Iterator[tuple[int, PhotoResult]]:
    """Yield number and result of every photo: in order by the local engine, in any order on a Ray cluster.

    Raises UserError for heat maps on a cluster, whose workers return none.
    """
    if heat_maps is not None:
        require_local(engine)
        yield from heat_maps.predict(paths, files)
        return
    if engine.engine == "local":
        yield from enumerate(files.load().predict(paths))
        return
    inference = files.preprocessing().detect.inference
    with cluster.connect(inference, engine) as workers:
        yield from clustered_prediction.predict(workers, paths, files, inference.batch_size, not engine.shares_photos)


def heat_map_folder(folder: Path) -> "HeatMapFolder":
    """Where heat maps are drawn into; it is imported when it is needed, with onnx."""
    from stages.commands.explained_prediction import HeatMapFolder

    return HeatMapFolder(folder)


def require_local(engine: RuntimeSettings) -> None:
    """Raise UserError unless photos are predicted in this process: workers of a cluster return no heat maps."""
    if engine.engine != "local":
        raise UserError(
            f"--explain: expected the engine local, for heat maps are drawn in this process, found {engine.engine}; "
            "add --engine local"
        )


def to_table(predicted: PredictedPhotos) -> csv_file.Columns:
    """One row per photo, with COLUMNS, probabilities of four digits; only path and note of one that cannot be read."""
    photos, notes = predicted
    columns = submitting.ranked(photos)
    paths = [_UNWRITABLE.sub(lambda match: ascii(match.group())[1:-1], path) for path in photos.paths]
    for name in ("probability", "second_probability"):
        columns[name] = np.round(columns[name], 4).tolist()
    shown = {
        name: ["" if reason else value for value, reason in zip(values, photos.reasons)]
        for name, values in columns.items()
    }
    return {"path": paths, **shown, "note": notes}


def require_outputs(outputs: list[Path]) -> None:
    """Raise UserError unless each output can be a file of its own: before the prediction, which may take hours."""
    for number, path in enumerate(outputs):
        above = next(folder for folder in path.absolute().parents if folder.exists())
        if path.is_dir() or not above.is_dir():
            found = "a folder" if path.is_dir() else f"the file {above} in its place"
            raise UserError(f"{path}: expected the path of a file to write, found {found}; name another")
        if path.absolute() in [other.absolute() for other in outputs[:number]]:
            raise UserError(f"{path}: expected another file for each output, found it twice; name another")


def require_ids(photos: list[ListedPhoto], rule: SubmissionSettings) -> None:
    """Raise SubmissionError where two files with the ending of a photo have one id: before the prediction."""
    submitting.ids([str(photo.path) for photo in photos if is_photo_name(str(photo.path))], rule)


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
        "--explain",
        type=Path,
        metavar="FOLDER",
        help="also draw where the models looked: a picture of every photo, into a new or empty folder",
    )
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
    parser.add_argument(
        "--engine",
        choices=["local", "ray"],
        help="where to predict: in this process, or on the Ray cluster of RAY_ADDRESS; default: `runtime.engine` of "
        "params.yaml, and local for a bundle",
    )
    args = parser.parse_args()
    if len(set(args.columns)) < 2:
        parser.error(f"--columns: expected two names, found {args.columns[0]} twice")
    return args


def print_changed_settings(files: EnsembleFiles) -> None:
    """Print a line where params.yaml is no longer what trained and weighted the models of the project."""
    names = input_names(files.settings)
    stages = run_settings.stages_of({name: names[name] for name in files.models() if name in names}, "models")
    lock, run = files.folder / "dvc.lock", "the run that trained the models"
    run_settings.print_changes("predict", files.settings, lock, stages, run)


def main() -> None:
    """Load the ensemble, classify the photos, write or print the predictions."""
    args = arguments()
    files = trained_ensemble.of_bundle(args.model) if args.model else trained_ensemble.of_project()
    if not args.model:
        print_changed_settings(files)
    engine = settings.read(files.settings, "runtime", RuntimeSettings)
    # A bundle goes elsewhere: the cluster of the place where it was made says nothing there.
    engine = engine.replace(engine=args.engine or ("local" if args.model else engine.engine))
    rule = SubmissionSettings(id=args.id, id_column=args.columns[0], label_column=args.columns[1])
    require_outputs([path for path in (args.out, args.submission) if path is not None])
    photos = list_photos(args.sources)
    if args.submission:
        require_ids(photos, rule)
    heat_maps = heat_map_folder(args.explain) if args.explain else None
    results = predict_paths([photo.path for photo in photos], files, engine, heat_maps)
    predicted = collect(photos, results, files.read_classes(), files.read_weights().prior)
    contest_file = submitting.submission(predicted.predictions, rule) if args.submission else None
    if args.out:
        csv_file.write(args.out, to_table(predicted))
    else:
        print(csv_file.to_text(to_table(predicted)), end="")
    if contest_file is not None:
        csv_file.write(args.submission, contest_file)
    n_photos, unread = len(predicted.notes), sum(reason != "" for reason in predicted.predictions.reasons)
    place = " on Ray" if engine.engine == "ray" else ""
    counts = f"{n_photos - unread} photos classified{place}, {unread} not readable"
    drawn = "" if heat_maps is None else f", {heat_maps.n_pictures} heat maps in {args.explain}"
    print(f"predict: {counts}, {len(photos) - n_photos} files are no photos{drawn}", file=sys.stderr)


if __name__ == "__main__":
    command.run(main)
