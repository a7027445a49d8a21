"""When photos were taken, as tables and paths say it: a number, or a date of ISO 8601."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np

from stages.scan.rows import LayoutError

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_MONTH = re.compile(r"\d{4}-\d{2}")
# Which of the first two is the month?
_AMBIGUOUS = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}")


def read(words: Sequence[str], error: Callable[[int, str], LayoutError]) -> np.ndarray:
    """The times (N,) float64 of texts, in an order that is theirs; NaN where a text is blank.

    Numbers, such as years, stay as they are; dates become seconds. Raises `error(row, text)` for the first text that is
    neither, for a date whose month cannot be known, and for texts of two kinds, which have no common order.
    """
    times = np.full(len(words), np.nan)
    first: tuple[str, str] | None = None
    for row, word in enumerate(word.strip() for word in words):
        if not word:
            continue
        parsed = _parse(word)
        if parsed is None:
            raise error(row, f"expected a number or a date such as 2021-04-03, found {word!a}{_readings(word)}")
        times[row], kind = parsed
        first = first or (kind, word)
        if kind != first[0]:
            raise error(row, f"expected {first[0]} as in {first[1]!a}, found {kind} in {word!a}; write all alike")
    return times


def _parse(word: str) -> tuple[float, str] | None:
    if _NUMBER.fullmatch(word):
        return float(word), "a number"
    try:
        date = datetime.fromisoformat(f"{word}-01" if _MONTH.fullmatch(word) else word)
    except ValueError:
        return None
    if date.tzinfo is None:
        return date.replace(tzinfo=UTC).timestamp(), "a date without a time zone"
    return date.timestamp(), "a date with a time zone"


def _readings(word: str) -> str:
    if not _AMBIGUOUS.fullmatch(word):
        return ""
    return ", which can be day, month, year or month, day, year; write the year first"
