"""What a second run of the same commit has the same as the first: every output's bytes, every figure."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from stages.core.system import HardwareMatch

# How far a figure of another machine may be off, as a share of itself, or of one where it is less: 0.02 is two points
# of a share. Trained networks take another way when the last digit of one step differs.
LEARNED = {"train": 0.1, "probe": 0.1, "evaluate": 0.1, "ensemble": 0.1, "audit": 0.1, "report": 0.1}
OTHERS = {"same": 0.0, "kernels": 0.0, "other": 0.02}


class Figure(NamedTuple):
    """One figure of the metrics of a stage in both runs; `after` is NaN where the second has none."""

    name: str
    before: float
    after: float

    @property
    def difference(self) -> float:
        """How far the second is off, as a share of the first, or of one where that is less."""
        return abs(self.after - self.before) / max(1.0, abs(self.before))


def outputs(lock: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The hash of every output by path, of every stage by name, of a dvc.lock."""
    return {name: {out["path"]: out["md5"] for out in stage.get("outs", [])} for name, stage in lock["stages"].items()}


def figures(before: Any, after: Any, name: str = "") -> Iterator[Figure]:
    """All numbers of one JSON document with those at the same place of another."""
    if isinstance(before, dict):
        for key, value in before.items():
            other = after.get(key) if isinstance(after, dict) else None
            yield from figures(value, other, f"{name}.{key}" if name else key)
    elif isinstance(before, list):
        others = after if isinstance(after, list) else []
        for place, value in enumerate(before):
            yield from figures(value, others[place] if place < len(others) else None, f"{name}[{place}]")
    elif isinstance(before, int | float) and not isinstance(before, bool):
        is_number = isinstance(after, int | float) and not isinstance(after, bool)
        yield Figure(name, float(before), float(after) if is_number else math.nan)


def tolerance(stage: str, likeness: HardwareMatch) -> float:
    """How far figures of a stage may be off: not at all on the same machine; where kernels are alike, learned ones."""
    learned = {} if likeness == "same" else LEARNED
    return learned.get(stage.partition("@")[0], OTHERS[likeness])


def row(stage: str, hashes: tuple[Mapping[str, str], Mapping[str, str]], seen: list[Figure], allowed: float) -> dict:
    """The line of one stage: how many outputs have the same bytes, which figure moved most, whether that is allowed."""
    before, after = hashes
    same = sum(after.get(path) == digest for path, digest in before.items())
    worst = max(seen, key=lambda figure: (math.isnan(figure.difference), figure.difference), default=None)
    moved = worst is not None and worst.difference != 0
    within = worst is None or worst.difference <= allowed
    return {
        "stage": stage,
        "outputs": len(before),
        "same bytes": same,
        "moved most": f"{worst.name}: {worst.before:g} to {worst.after:g}" if worst is not None and moved else "",
        "allowed": f"{allowed:g}",
        "verdict": "same" if same == len(before) else "within" if allowed and within else "differs",
    }


def table(before: Mapping[str, Any], after: Mapping[str, Any], likeness: HardwareMatch) -> pd.DataFrame:
    """A row per stage of the first run. Both are `{"lock": dvc.lock, "metrics": {path: JSON document}}`."""
    firsts, seconds = outputs(before["lock"]), outputs(after["lock"])
    rows = []
    for stage, hashes in firsts.items():
        both = {
            path: (found, after["metrics"].get(path)) for path, found in before["metrics"].items() if path in hashes
        }
        seen = [figure for path, (one, other) in both.items() for figure in figures(one, other, path)]
        rows.append(row(stage, (hashes, seconds.get(stage, {})), seen, tolerance(stage, likeness)))
    return pd.DataFrame(rows)
