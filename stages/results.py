"""Print the results of the last run: one line per model and for the ensemble, and where the report is."""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd


def percent(value: float | None) -> str:
    """A share of 0..1 as per cent with one digit; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f} %"


def line(name: str, scores: dict[str, Any], weight: float | None) -> dict[str, str]:
    """One row of the table from the scores of val and test."""
    val, test = scores.get("val", {}), scores.get("test", {})
    interval = f"{percent(test.get('accuracy_low'))} to {percent(test.get('accuracy_high'))}"
    return {
        "model": name,
        "val accuracy": percent(val.get("accuracy")),
        "test accuracy": percent(test.get("accuracy")),
        "95 % interval": interval if "accuracy" in test else "-",
        "n": str(test.get("n", 0)),
        "test log loss": f"{test['log_loss']:.3f}" if "log_loss" in test else "-",
        "weight": "-" if weight is None else f"{weight:.2f}",
    }


def table(folder: Path) -> pd.DataFrame:
    """The results in the metrics folder `folder`, one row per model, then equal weights and the ensemble."""
    ensemble = json.loads((folder / "ensemble.json").read_text(encoding="utf-8"))
    rows = []
    for name, weight in ensemble["weights"].items():
        scores = json.loads((folder / "evaluate" / f"{name}.json").read_text(encoding="utf-8"))
        rows.append(line(name, scores, weight))
    rows.append(line("equal weights", {"test": ensemble["equal_weights"]}, None))
    rows.append(line("ensemble", {"test": ensemble["test"]}, None))
    return pd.DataFrame(rows)


def main() -> None:
    """Print the table and the report's path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, default=Path("metrics"))
    arguments = parser.parse_args()
    print(table(arguments.metrics).to_string(index=False))
    print(f"report: {arguments.metrics / 'report' / 'index.html'}")


if __name__ == "__main__":
    main()
