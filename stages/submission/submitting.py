"""Predictions of photos without labels, and the file of a contest made from them."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core.errors import UserError
from stages.schemas.predictions import Predictions
from stages.sources.file_names import is_photo_name
from stages.submission.settings import SubmissionSettings

_IDS: dict[str, Callable[[str], str]] = {
    "stem": lambda path: PurePosixPath(path).stem,
    "name": lambda path: PurePosixPath(path).name,
    "path": str,
}
# What `ingest` says of a file that holds no image: without the ending of a photo, it is none.
_NO_IMAGE = ("not_an_image", "empty_file", "not_a_file", "link_loop", "empty_folder")


class SubmissionError(UserError):
    """The file of a contest cannot be made from the predictions."""


class PhotoPredictions(NamedTuple):
    """Photos and `probabilities` (N, C) of `classes`; `rows` has `path`, `image_id` and `reason`, why a photo has none.

    A photo with a reason has the prior, the shares of the classes in train, for its probabilities.
    """

    rows: pd.DataFrame
    probabilities: np.ndarray
    classes: list[str]


def is_photo(path: str, reason: str) -> bool:
    """Whether a file that was found in a folder is a photo, readable or not; Thumbs.db and stray tables are none."""
    return reason not in _NO_IMAGE or is_photo_name(path)


def predict_rows(rows: pd.DataFrame, predicted: Predictions, prior: np.ndarray, is_listed: bool) -> PhotoPredictions:
    """The predictions of rows of data/splits.csv by image id, or the `prior` (C,) of a photo without model input.

    Files that are no photos are left out, unless a table names them, `is_listed`.
    """
    is_kept = [is_listed or is_photo(path, reason) for path, reason in zip(rows["path"], rows["reason"])]
    kept = rows[np.array(is_kept, dtype=bool)]
    place = {image_id: row for row, image_id in enumerate(predicted.image_ids)}
    numbers = [place.get(image_id) for image_id in kept["image_id"]]
    probabilities = [prior if number is None else predicted.probabilities[number] for number in numbers]
    unread = np.array([number is None for number in numbers], dtype=bool)
    # The reason of a copy, or of a photo without a main car, is none here: there is a prediction.
    table = kept[["path", "image_id", "reason"]].assign(reason=kept["reason"].where(unread, ""))
    shape = (len(kept), len(predicted.classes))
    return PhotoPredictions(
        table.reset_index(drop=True), np.array(probabilities, dtype=np.float64).reshape(shape), predicted.classes
    )


def to_table(predicted: PhotoPredictions) -> pd.DataFrame:
    """data/predictions_unlabelled.csv: path, image_id, the likeliest class and the runner-up, and the reason."""
    ranked = np.argsort(-predicted.probabilities, axis=1, kind="stable")
    names, numbers = np.array(predicted.classes, dtype=object), np.arange(len(ranked))
    columns = {}
    for prefix, rank in (("", 0), ("second_", 1)):
        columns[f"{prefix}label"] = names[ranked[:, rank]]
        columns[f"{prefix}probability"] = predicted.probabilities[numbers, ranked[:, rank]]
    rows = predicted.rows
    return rows[["path", "image_id"]].assign(**columns, reason=rows["reason"])


def submission(
    predicted: PhotoPredictions, settings: SubmissionSettings, sample: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The file of the contest; with a `sample`, in the order of its ids and with its columns.

    Raises SubmissionError if two photos have one id, if an id of the sample has no photo, or if the columns of the
    sample are no classes.
    """
    ids = [_IDS[settings.id](path) for path in predicted.rows["path"]]
    _require_unique(ids, predicted.rows["path"].tolist(), settings)
    if settings.content == "label":
        best = np.array(predicted.classes, dtype=object)[predicted.probabilities.argmax(axis=1)]
        table = pd.DataFrame({settings.label_column: best}, index=ids)
    else:
        table = pd.DataFrame(predicted.probabilities, index=ids, columns=predicted.classes)
    if sample is not None:
        table = _like(sample, table, settings)
    if settings.id_column in table.columns:
        raise SubmissionError(f"submission.id_column: expected no name of a class, found `{settings.id_column}`")
    return table.rename_axis(settings.id_column if sample is None else sample.columns[0]).reset_index()


def _require_unique(ids: list[str], paths: list[str], settings: SubmissionSettings) -> None:
    first: dict[str, str] = {}
    for name, path in zip(ids, paths):
        if name in first:
            wider = {"stem": "name or path", "name": "path"}.get(settings.id, "another source")
            raise SubmissionError(
                f"submission.id `{settings.id}`: expected an id of its own for each photo, found `{name}` for "
                f"{first[name]} and {path}; set it to {wider}"
            )
        first[name] = path


def _like(sample: pd.DataFrame, table: pd.DataFrame, settings: SubmissionSettings) -> pd.DataFrame:
    """The rows of `table` in the order of the ids in the first column of `sample`, with its other columns."""
    ids, columns = sample.iloc[:, 0], sample.columns[1:].tolist()
    without = ids[~ids.isin(table.index)]
    if len(without):
        raise SubmissionError(
            f"{settings.sample_file}: expected a photo for each id, found none for `{without.iloc[0]}` and "
            f"{len(without) - 1} more; photos have ids such as `{next(iter(table.index), '')}` (submission.id)"
        )
    if settings.content == "label" and len(columns) == 1:
        table = table.set_axis(columns, axis=1)
    different = sorted(set(columns) ^ set(table.columns))
    if different:
        raise SubmissionError(
            f"{settings.sample_file}: expected the columns {', '.join(table.columns)}, found {', '.join(columns)}; "
            f"`{different[0]}` is on one side only"
        )
    return table.loc[ids.tolist(), columns]
