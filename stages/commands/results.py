"""Print the results of the last run: a line per model and for the ensemble, what to doubt, where the report is."""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from stages.core import command
from stages.schemas import flags


def percent(value: float | None) -> str:
    """A share of 0..1 as per cent with one digit; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f} %"


def line(name: str, scores: dict[str, Any], weight: float | None) -> dict[str, str]:
    """One row of the table from the scores of val and test, and those of the model's linear probe on val."""
    val, test, probe = (scores.get(name, {}) for name in ("val", "test", "probe"))
    interval = f"{percent(test.get('accuracy_low'))} to {percent(test.get('accuracy_high'))}"
    return {
        "model": name,
        "val accuracy": percent(val.get("accuracy")),
        "of its probe": percent(probe.get("accuracy")),
        "test accuracy": percent(test.get("accuracy")),
        "95 % interval": interval if "accuracy" in test else "-",
        "n": str(test.get("n", 0)),
        "test log loss": f"{test['log_loss']:.3f}" if "log_loss" in test else "-",
        "weight": "-" if weight is None else f"{weight:.2f}",
    }


def table(folder: Path) -> pd.DataFrame:
    """The results in the metrics folder `folder`: a row per model, the best one tempered, then the blends."""
    ensemble = read(folder / "ensemble.json")
    rows = []
    for name, weight in ensemble["weights"].items():
        scores, probe = (read(folder / stage / f"{name}.json") for stage in ("evaluate", "probe"))
        rows.append(line(name, scores | {"probe": probe["val"]}, weight))
    if "best_single" in ensemble:
        rows.append(line(f"{ensemble['best_single']['name']}, tempered", {"test": ensemble["best_single"]}, None))
    rows.append(line("equal weights", {"test": ensemble["equal_weights"]}, None))
    rows.append(line("ensemble", {"test": ensemble["test"]}, None))
    return pd.DataFrame(rows)


def gain_line(ensemble: dict[str, Any]) -> str:
    """A line on what the ensemble has before the best single model; empty where nothing was judged."""
    if "gain" not in ensemble:
        return ""
    gain, name = ensemble["gain"], ensemble["best_single"]["name"]
    return (
        f"ensemble minus {name}: log loss {gain['log_loss']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f}), "
        f"accuracy {100 * gain['accuracy']:+.1f} points ({100 * gain['accuracy_low']:+.1f} to "
        f"{100 * gain['accuracy_high']:+.1f}), paired, 95 %\n"
    )


def audit_lines(audit: dict[str, Any]) -> str:
    """A line for each model that a fault is likely in, what to look for, and how many photos are worth a look."""
    found = flags.from_metrics(audit["flags"])
    lines = [f"a fault is likely: {flags.sentence(flag)}" for flag in found]
    lines += [f"look for {'; '.join(flags.LIKELY_CAUSES)}"] * bool(found)
    lines.append(f"to look at: {audit['label_error']} labels in doubt, {audit['outlier']} photos unlike all others")
    return "".join(f"{line}\n" for line in lines)


def read(path: Path) -> dict[str, Any]:
    """Read a file of metrics."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def main() -> None:
    """Print the table and the report's path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, default=Path("metrics"))
    arguments = parser.parse_args()
    print(table(arguments.metrics).to_string(index=False))
    print(gain_line(read(arguments.metrics / "ensemble.json")), end="")
    print(audit_lines(read(arguments.metrics / "audit.json")), end="")
    print(f"report: {arguments.metrics / 'report' / 'index.html'}")


if __name__ == "__main__":
    command.run(main)
