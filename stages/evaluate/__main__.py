"""Score one trained model by itself on the val and test photos, nothing of them varied by chance."""

import argparse
from pathlib import Path

from stages.classifiers import inference, runtime
from stages.classifiers.settings import LoaderSettings
from stages.core import atomic, command, progress, settings, tables
from stages.core.archive import Archive
from stages.core.runtime_settings import RuntimeSettings
from stages.evaluate import tta
from stages.evaluate.evaluation import _SCORED, compare_views, joined, predict, report
from stages.evaluate.settings import TtaSettings
from stages.schemas import class_list, predictions, split_data


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name of the model, for the line of counts")
    parser.add_argument("--models", type=Path, required=True, help="the folder of all models")
    for name in ("params", "table", "photos", "classes", "predictions", "metrics", "tables"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Parse, load, predict, score, write."""
    args = arguments()
    loader = settings.read(args.params, "train", LoaderSettings, subset=True)
    rule = settings.read(args.params, "tta", TtaSettings)
    system = runtime.configure(loader.seed, settings.read(args.params, "runtime", RuntimeSettings).n_threads)
    classes = class_list.read_classes(args.classes)
    splits = split_data.read(args.table, classes)
    model = inference.load(args.models / args.model / "model.keras", len(classes))
    looked = predict(model, splits, Archive(args.photos), loader, tta.max_views(rule))
    predicted = {
        name: tta.predict_tta(tta.from_precomputed(rows), rows.shape[1], rule).probabilities
        for name, rows in looked.items()
    }
    found = report(splits, predicted, classes)
    views = {name: compare_views(splits[name].labels, rows, rule) for name, rows in looked.items()}
    predictions.write(args.predictions, joined(splits, predicted, classes))
    atomic.write_json(args.metrics, found.metrics | {"tta": views})
    tables.write(args.tables / "confusion.csv", found.confusion)
    tables.write(args.tables / "classes.csv", found.per_class)
    tables.write(args.tables / "reliability.csv", found.reliability)
    progress.summary(f"evaluate {args.model}", **{name: found.metrics[name]["n"] for name in _SCORED}, device=system)


if __name__ == "__main__":
    command.run(main)
