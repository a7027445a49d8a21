"""Compare a second run of the same commit with the first: the bytes of every output, and every figure."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from stages.core.system import HardwareMatch

# How far a figure may differ on another machine, as a share of itself, or of one where it is less: 0.02 is two points
# of a share. Training diverges when the last digit of one step differs.
LEARNED = {"train": 0.1, "probe": 0.1, "evaluate": 0.1, "ensemble": 0.1, "novelty": 0.1, "audit": 0.1, "report": 0.1}
LEARNED |= {"teach": 0.1, "train_students": 0.1, "evaluate_students": 0.1, "compare_students": 0.1}
OTHERS = {"same": 0.0, "kernels": 0.0, "other": 0.02}


class Figure(NamedTuple):
    """One figure of the metrics of a stage in both runs; `after` is NaN where the second run has none."""

    name: str
    before: float
    after: float

    @property
    def difference(self) -> float:
        """The absolute difference, as a share of the first figure, or of one where that is less."""
        return abs(self.after - self.before) / max(1.0, abs(self.before))


def outputs(lock: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The hash of every output by path, for every stage of a dvc.lock."""
    return {name: {out["path"]: out["md5"] for out in stage.get("outs", [])} for name, stage in lock["stages"].items()}


def figures(before: Any, after: Any, name: str = "") -> Iterator[Figure]:
    """All numbers of one JSON document, with those at the same place of another."""
    if isinstance(before, dict):
        for key, value in before.items():
            other = after.get(key) if isinstance(after, dict) else None
            yield from figures(value, other, f"{name}.{key}" if name else key)
    elif isinstance(before, list):
        others = after if isinstance(after, list) else []
        for index, value in enumerate(before):
            yield from figures(value, others[index] if index < len(others) else None, f"{name}[{index}]")
    elif isinstance(before, int | float) and not isinstance(before, bool):
        is_number = isinstance(after, int | float) and not isinstance(after, bool)
        yield Figure(name, float(before), float(after) if is_number else math.nan)


def tolerance(stage: str, match: HardwareMatch) -> float:
    """The largest allowed difference of a figure: none on the same machine; with the same kernels, of learned ones."""
    learned = {} if match == "same" else LEARNED
    return learned.get(stage.partition("@")[0], OTHERS[match])


def row(stage: str, hashes: tuple[Mapping[str, str], Mapping[str, str]], pairs: list[Figure], allowed: float) -> dict:
    """The row of one stage: how many outputs have the same bytes, which figure differs most, and the result.

    `result` is `same` if all bytes are, `within` if no figure differs by more than `allowed`, else `differs`.
    """
    before, after = hashes
    n_same = sum(after.get(path) == digest for path, digest in before.items())
    worst = max(pairs, key=lambda figure: (math.isnan(figure.difference), figure.difference), default=None)
    is_within = allowed > 0 and (worst is None or worst.difference <= allowed)
    has_moved = worst is not None and worst.difference != 0
    return {
        "stage": stage,
        "outputs": len(before),
        "same bytes": n_same,
        "largest difference": f"{worst.name}: {worst.before:g} to {worst.after:g}" if worst and has_moved else "",
        "allowed": f"{allowed:g}",
        "result": "same" if n_same == len(before) else "within" if is_within else "differs",
    }


def table(before: Mapping[str, Any], after: Mapping[str, Any], match: HardwareMatch) -> pd.DataFrame:
    """A row per stage of the first run. Both are `{"lock": dvc.lock, "metrics": {path: JSON document}}`."""
    hashes_before, hashes_after = outputs(before["lock"]), outputs(after["lock"])
    rows = []
    for stage, hashes in hashes_before.items():
        documents = {path: document for path, document in before["metrics"].items() if path in hashes}
        pairs = [
            figure
            for path, document in documents.items()
            for figure in figures(document, after["metrics"].get(path), path)
        ]
        rows.append(row(stage, (hashes, hashes_after.get(stage, {})), pairs, tolerance(stage, match)))
    return pd.DataFrame(rows)
