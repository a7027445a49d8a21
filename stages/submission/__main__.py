"""Write the predictions of photos without labels, and the file of a contest.

A photo that cannot be read gets the shares of the classes in train as its probabilities, and is named.
"""

import argparse
import sys
from pathlib import Path

from stages.core import command, csv_file, progress, settings, tables
from stages.core.csv_file import Columns
from stages.schemas import class_list, predictions, split_data, split_table
from stages.schemas.manifest import UNLABELLED
from stages.sources.file_names import is_table_name
from stages.sources.settings import SourceSettings
from stages.sources.store import resolve
from stages.submission import submitting, unlabelled
from stages.submission.settings import SubmissionSettings


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "splits", "classes", "probabilities", "predictions", "submission"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def read_sample(path: str | None) -> Columns | None:
    """The sample file of the contest, all text. Raises TableError if it has no rows or repeats an id."""
    if path is None:
        return None
    file = Path(resolve(path))
    sample = tables.read_text(file)
    tables.require_unique(file, sample.iloc[:, 0], "each id once")
    return {str(name): sample[name].tolist() for name in sample}


def main() -> None:
    """Read the predictions, write both files."""
    args = arguments()
    rule = settings.read(args.params, "submission", SubmissionSettings)
    source = settings.read(args.params, "ingest", SourceSettings, subset=True)
    classes, inputs = class_list.read_classes(args.classes), split_table.read(args.splits)
    rows = inputs[inputs["split"] == UNLABELLED].sort_values("path")
    is_listed = source.unlabelled is not None and is_table_name(source.unlabelled)
    prior = split_data.class_shares(split_data.read(args.splits, classes)["train"], len(classes))
    predicted = unlabelled.predict_rows(rows, predictions.read(args.probabilities, classes), prior, is_listed)
    tables.write(args.predictions, unlabelled.to_table(predicted))
    unread = [(path, reason) for path, reason in zip(predicted.paths, predicted.reasons) if reason]
    for path, reason in unread[:20]:
        print(
            f"submission: {path} ({reason}) gets the shares of the classes in train",
            file=sys.stderr,
        )
    sample = read_sample(rule.sample_file) if len(rows) else None
    csv_file.write(args.submission, submitting.submission(predicted, rule, sample))
    n_photos = len(predicted.paths)
    progress.summary("submission", photos=n_photos, by_prior=len(unread), no_photos=len(rows) - n_photos)


if __name__ == "__main__":
    command.run(main)
