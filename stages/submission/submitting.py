"""Predictions of photos without labels, and the file of a contest made from them; without pandas, for bundles."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from stages.core.csv_file import Columns
from stages.core.errors import UserError
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
    """N photos and `probabilities` (N, C) of `classes`; `reasons` say why a photo has none, or are empty.

    A photo with a reason has the prior, the shares of the classes in train, for its probabilities.
    """

    paths: list[str]
    image_ids: list[str]
    reasons: list[str]
    probabilities: np.ndarray
    classes: list[str]


def is_photo(path: str, reason: str) -> bool:
    """Whether a file that was found in a folder is a photo, readable or not; Thumbs.db and stray tables are none."""
    return reason not in _NO_IMAGE or is_photo_name(path)


def ranked(predicted: PhotoPredictions) -> dict[str, list[Any]]:
    """The likeliest class of every photo and the runner-up, with their probabilities, as columns of a table."""
    order = np.argsort(-predicted.probabilities, axis=1, kind="stable")
    numbers = np.arange(len(order))
    columns: dict[str, list[Any]] = {}
    for prefix, rank in (("", 0), ("second_", 1)):
        columns[f"{prefix}label"] = [predicted.classes[number] for number in order[:, rank]]
        columns[f"{prefix}probability"] = predicted.probabilities[numbers, order[:, rank]].tolist()
    return columns


def submission(
    predicted: PhotoPredictions, settings: SubmissionSettings, sample: Columns | None = None
) -> dict[str, Sequence[object]]:
    """The columns of the contest's file; with a `sample`, in the order of its ids and with its columns.

    Raises SubmissionError if two photos have one id, if an id of the sample has no photo, or if the columns of the
    sample are no classes.
    """
    names = ids(predicted.paths, settings)
    table: dict[str, Sequence[object]]
    if settings.content == "label":
        table = {settings.label_column: ranked(predicted)["label"]}
    else:
        table = dict(zip(predicted.classes, predicted.probabilities.T.tolist()))
    if sample is not None:
        return _like(sample, names, table, settings)
    if settings.id_column in table:
        raise SubmissionError(f"submission.id_column: expected no name of a class, found `{settings.id_column}`")
    return {settings.id_column: names, **table}


def ids(paths: Sequence[str], settings: SubmissionSettings) -> list[str]:
    """The id of each photo. Raises SubmissionError if two photos have one id."""
    found = [_IDS[settings.id](path) for path in paths]
    _require_unique(found, paths, settings)
    return found


def _require_unique(found: list[str], paths: Sequence[str], settings: SubmissionSettings) -> None:
    first: dict[str, str] = {}
    for name, path in zip(found, paths):
        if name in first:
            wider = {"stem": "name or path", "name": "path"}.get(settings.id, "another source")
            raise SubmissionError(
                f"submission.id `{settings.id}`: expected an id of its own for each photo, found `{name}` for "
                f"{first[name]} and {path}; set it to {wider}"
            )
        first[name] = path


def _like(
    sample: Columns, ids: list[str], table: dict[str, Sequence[object]], settings: SubmissionSettings
) -> dict[str, Sequence[object]]:
    """The rows of `table` in the order of the ids in the first column of `sample`, with its other columns."""
    id_column, *columns = sample
    wanted, row_of = [str(name) for name in sample[id_column]], {name: row for row, name in enumerate(ids)}
    without = [name for name in wanted if name not in row_of]
    if without:
        raise SubmissionError(
            f"{settings.sample_file}: expected a photo for each id, found none for `{without[0]}` and "
            f"{len(without) - 1} more; photos have ids such as `{next(iter(ids), '')}` (submission.id)"
        )
    if settings.content == "label" and len(columns) == 1:
        table = dict(zip(columns, table.values()))
    different = sorted(set(columns) ^ set(table))
    if different:
        raise SubmissionError(
            f"{settings.sample_file}: expected the columns {', '.join(table)}, found {', '.join(columns)}; "
            f"`{different[0]}` is on one side only"
        )
    rows = [row_of[name] for name in wanted]
    return {id_column: wanted, **{name: [table[name][row] for row in rows] for name in columns}}
