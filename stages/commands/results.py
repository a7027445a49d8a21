"""Print the results of the last run.

These are the scores of models, ensemble and students, the findings of the audit, and the path of the report.
"""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from stages.core import command, json_file, settings
from stages.schemas import flags

_WITHOUT = {"test": "nothing was evaluated", "val": "weights and temperature were not fitted"}
_AUDIT_KEYS = ("flags", "label_issue", "expected_wrong", "outlier")


def percent(value: float | None) -> str:
    """A share of 0..1 as a percentage with one digit; a dash for None."""
    return "-" if value is None else f"{100 * value:.1f} %"


def table_row(name: str, scores: dict[str, Any], weight: float | None) -> dict[str, str]:
    """One row of the table, from the scores on `val` and `test`, and those of the linear `probe` on val."""
    val, test, probe = (scores.get(split, {}) for split in ("val", "test", "probe"))
    interval = f"{percent(test.get('accuracy_low'))} to {percent(test.get('accuracy_high'))}"
    return {
        "model": name,
        "val accuracy": percent(val.get("accuracy")),
        "linear probe": percent(probe.get("accuracy")),
        "test accuracy": percent(test.get("accuracy")),
        "95 % interval": interval if "accuracy" in test else "-",
        "n": str(test.get("n", 0)),
        "test log loss": f"{test['log_loss']:.3f}" if "log_loss" in test else "-",
        "weight": "-" if weight is None else f"{weight:.2f}",
    }


def table(folder: Path) -> pd.DataFrame:
    """The results in the metrics folder `folder`: a row per model, the best one calibrated, equal weights, ensemble."""
    ensemble = json_file.read(folder / "ensemble" / "details.json", ("weights", "equal_weights", "test"))
    rows = []
    for name, weight in ensemble["weights"].items():
        scores = json_file.read(folder / "evaluate" / name / "details.json")
        probe = json_file.read(folder / "probe" / f"{name}.json", ["val"])
        rows.append(table_row(name, scores | {"probe": probe["val"]}, weight))
    if "best_single" in ensemble:
        best = ensemble["best_single"]
        rows.append(table_row(f"{best['name']}, calibrated", {"test": best}, None))
    rows.append(table_row("equal weights", {"test": ensemble["equal_weights"]}, None))
    rows.append(table_row("ensemble", {"test": ensemble["test"]}, None))
    return pd.DataFrame(rows)


def read_students(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The comparison of each student with the ensemble, by name, in the metrics folder `folder`."""
    return {name: json_file.read(folder / "students" / name / "comparison.json", ("val", "test")) for name in names}


def student_rows(students: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A row of the table per student, whose scores are calibrated."""
    scores = {
        name: {split: {"n": figures[split]["n"], **figures[split].get("student", {})} for split in ("val", "test")}
        for name, figures in students.items()
    }
    return pd.DataFrame([table_row(f"{name}, student, calibrated", found, None) for name, found in scores.items()])


def gain_line(ensemble: dict[str, Any]) -> str:
    """A line on the ensemble's gain over the best single model; empty without test photos."""
    if "gain" not in ensemble:
        return ""
    return difference_line(f"ensemble minus {ensemble['best_single']['name']}", ensemble["gain"])


def difference_line(title: str, gain: Mapping[str, float]) -> str:
    """A line on a paired difference in log loss and accuracy."""
    return (
        f"{title}: log loss {gain['log_loss']:+.3f} ({gain['log_loss_low']:+.3f} to "
        f"{gain['log_loss_high']:+.3f}), "
        f"accuracy {100 * gain['accuracy']:+.1f} points ({100 * gain['accuracy_low']:+.1f} to "
        f"{100 * gain['accuracy_high']:+.1f}), paired, 95 %\n"
    )


def audit_lines(audit: dict[str, Any]) -> str:
    """A line for each flagged model, the likely causes, and how many photos to check."""
    flagged = flags.from_json(audit["flags"])
    lines = [f"flagged: {flags.sentence(flag)}" for flag in flagged]
    lines += [f"likely causes: {'; '.join(flags.LIKELY_CAUSES)}"] * bool(flagged)
    wrong = f"{audit['expected_wrong']['listed']} expected to be wrong"
    lines.append(f"to check: {audit['label_issue']} label issues, {wrong}; {audit['outlier']} outliers")
    return "".join(f"{line}\n" for line in lines)


def warning_lines(details: dict[str, Any], ensemble: dict[str, Any]) -> str:
    """Lines on what makes the scores worth less: no photos to fit or score on, leaks between given splits."""
    lines = [f"no photos in {name}: {why}" for name, why in _WITHOUT.items() if not ensemble[name]["n"]]
    if leaks := details.get("leaks"):
        lines.append(
            f"leaks: {leaks['groups']} groups straddle the given splits, {leaks['photos']} photos; test scores are too "
            "good (metrics/ingest/leaks.csv)"
        )
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Print the table, the findings and the path of the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, default=Path("metrics"), help="folder of the metrics; default: metrics")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="names the students")
    arguments = parser.parse_args()
    students = read_students(arguments.metrics, settings.load(arguments.params).get("students") or ())
    print(pd.concat([table(arguments.metrics), student_rows(students)]).to_string(index=False))
    ensemble = json_file.read(arguments.metrics / "ensemble" / "details.json", ("test", "val"))
    print(warning_lines(json_file.read(arguments.metrics / "ingest" / "details.json"), ensemble), end="")
    print(gain_line(ensemble), end="")
    for name, figures in students.items():
        if "difference" in figures["test"]:
            print(difference_line(f"{name} minus ensemble", figures["test"]["difference"]), end="")
    print(audit_lines(json_file.read(arguments.metrics / "audit" / "details.json", _AUDIT_KEYS)), end="")
    print(f"report: {arguments.metrics / 'report' / 'index.html'}")


if __name__ == "__main__":
    command.run(main)
