"""Decisions of people in data/corrections.csv: those in force, and those on photos that are not there or not used."""

from typing import Any, NamedTuple

import pandas as pd

from stages.report.report_data import ReportData
from stages.schemas import manifest

# More rows tell no reader more; the file has all.
_SHOWN = 100
_TAKEN_OUT = (manifest.DROPPED_BY_REVIEW, manifest.NOT_A_CAR)


class DecisionRow(NamedTuple):
    """A decision for a table: the photo's path, or its image id where it has none; what was decided, and by whom."""

    photo: str
    kind: str
    value: str
    who: str
    when: str


class Decisions(NamedTuple):
    """The numbers of decisions `in_force` and `without_photo`, with the first rows of both."""

    n_in_force: int
    n_without_photo: int
    in_force: list[DecisionRow]
    without_photo: list[DecisionRow]


def summarise(decided: pd.DataFrame, rows: pd.DataFrame) -> Decisions:
    """Match decisions with the rows of the report's data. A photo that a decision took out is there."""
    is_there = rows["is_usable"] & (rows["split"] != manifest.UNLABELLED) | rows["reason"].isin(_TAKEN_OUT)
    paths = dict(zip(rows.loc[is_there, "image_id"], rows.loc[is_there, "path"]))
    is_matched = decided["image_id"].isin(paths)
    matched, other = decided[is_matched], decided[~is_matched]
    return Decisions(len(matched), len(other), _rows(matched, paths), _rows(other, {}))


def _rows(decided: pd.DataFrame, paths: dict[str, str]) -> list[DecisionRow]:
    records: list[dict[str, Any]] = decided.head(_SHOWN).to_dict("records")  # type: ignore[assignment]
    return [
        DecisionRow(paths.get(row["image_id"], row["image_id"]), row["kind"], row["value"], row["who"], row["when"])
        for row in records
    ]


def of_report(data: ReportData) -> Decisions:
    """The decisions on the photos of the report."""
    return summarise(data.decisions, data.rows)
