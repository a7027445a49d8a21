"""Look for faults: models too weak to be sound, labels that out-of-sample answers contradict, photos unlike all others.

Nothing is removed or changed by it; people look and decide.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from stages.audit import diagnostics
from stages.audit.auditing import (
    PredictionSet,
    label_issue_table,
    losses,
    out_of_sample,
    outlier_table,
    record,
    weak_models,
)
from stages.audit.settings import AuditSettings
from stages.core import atomic, command, progress, settings, tables
from stages.schemas import class_list, flags, issues, predictions, split_data


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = ("params", "table", "classes", "predictions", "blended", "probes", "curves", "suspects", "metrics")
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Parse, load, look, write, tell."""
    args = arguments()
    rule = settings.read(args.params, "audit", AuditSettings)
    classes = class_list.read_classes(args.classes)
    splits, names = split_data.read(args.table, classes), sorted(settings.load(args.params)["models"])
    of_models, of_probes = (
        {name: predictions.read(folder / f"{name}.csv", classes) for name in names}
        for folder in (args.predictions, args.probes)
    )
    answers = PredictionSet(of_models, of_probes, predictions.read(args.blended, classes))
    far = [tables.read(args.probes / f"{name}_distances.csv", issues.DISTANCES) for name in names]
    weak = diagnostics.not_improved(losses(args.curves, names)) + weak_models(answers, splits["val"])
    wrong = label_issue_table(splits, out_of_sample(answers, splits), classes, rule)
    doubtful = pd.concat([wrong, outlier_table(splits, far, classes)])[list(issues.COLUMNS)]
    tables.write(args.suspects, doubtful)
    found = record(weak, doubtful, splits)
    atomic.write_json(args.metrics, found)
    for flag in weak:
        print(f"audit: {flags.sentence(flag)}", file=sys.stderr)
    if weak:
        print(f"audit: look for {'; '.join(flags.LIKELY_CAUSES)}", file=sys.stderr)
    progress.summary("audit", photos=found["photos"], **{kind: found[kind] for kind in issues.KINDS}, flags=len(weak))


if __name__ == "__main__":
    command.run(main)
