"""Flag weak models, label issues and outliers; nothing is changed."""

import argparse
import sys
from pathlib import Path

import pandas as pd

from stages.audit import auditing, diagnostics
from stages.audit.auditing import PredictionSet
from stages.audit.settings import AuditSettings
from stages.core import atomic, command, progress, settings, stale_files, tables
from stages.schemas import class_list, corrections, flags, issues, predictions, split_data


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = (
        "params",
        "splits",
        "classes",
        "predictions",
        "ensemble-predictions",
        "probes",
        "corrections",
        "curves",
        "issues",
        "details",
    )
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def remove_stale(names: list[str], probes: Path, curves: Path) -> None:
    """Remove linear probes and training curves of models that params.yaml no longer names."""
    removed = stale_files.remove(probes, names, "{}_distances.csv", "{}_map.csv", "{}.csv")
    removed += stale_files.remove(curves, names, "{}")
    stale_files.print_removed("audit", removed, "model")


def main() -> None:
    """Read predictions, distances and curves; write the issues and the flags."""
    args = arguments()
    rule = settings.read(args.params, "audit", AuditSettings)
    classes = class_list.read_classes(args.classes)
    splits, names = split_data.read(args.splits, classes), sorted(settings.load(args.params)["models"])
    remove_stale(names, args.probes, args.curves)
    models, probes = (
        {name: predictions.read(folder / f"{name}.csv", classes) for name in names}
        for folder in (args.predictions, args.probes)
    )
    predicted = PredictionSet(models, probes, predictions.read(args.ensemble_predictions, classes))
    distances = [tables.read(args.probes / f"{name}_distances.csv", issues.DISTANCES) for name in names]
    weak = diagnostics.not_improved(auditing.losses(args.curves, names)) + auditing.weak_models(
        predicted, splits["val"]
    )
    doubtful = auditing.doubtful_labels(auditing.out_of_sample(predicted, splits), classes)
    outliers = auditing.outlier_table(splits, distances, classes)
    decisions = corrections.read(args.corrections)
    doubtful, outliers = (auditing.without_decided(frame, decisions) for frame in (doubtful, outliers))
    issue_table = pd.concat([doubtful[doubtful["score"] >= rule.min_wrong], outliers])[list(issues.COLUMNS)]
    tables.write(args.issues, issue_table)
    details = auditing.summarise(weak, issue_table, doubtful)
    atomic.write_json(args.details, details)
    for flag in weak:
        print(f"audit: {flags.sentence(flag)}", file=sys.stderr)
    if weak:
        print(f"audit: likely causes: {'; '.join(flags.LIKELY_CAUSES)}", file=sys.stderr)
    counts = {f"{kind}s": details[kind] for kind in issues.KINDS}
    wrong = details["expected_wrong"]["listed"]
    progress.summary("audit", photos=details["photos"], **counts, of_the_labels_expected_wrong=wrong, flags=len(weak))


if __name__ == "__main__":
    command.run(main)
