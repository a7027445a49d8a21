"""Fit a linear classifier to the features of an untrained network.

The stage also measures how far photos are from those of train, and places all photos on a map. The classifier is the
baseline that the trained model must beat (Kornblith et al. 2019, arXiv:1805.08974).
"""

import argparse
from pathlib import Path

from stages.classifiers import folding, pretrained, runtime
from stages.classifiers.image_source import image_size_hw
from stages.classifiers.settings import LoaderSettings, ModelSettings, derive_seed
from stages.core import atomic, command, progress, settings, tables
from stages.core.archive import Archive
from stages.core.errors import TableError
from stages.core.runtime_settings import RuntimeSettings
from stages.probe import feature_map, linear_probe
from stages.probe.probing import extract_features, outlier_scores, predict_splits, score_splits, to_table
from stages.probe.settings import ProbeSettings
from stages.schemas import class_list, predictions, split_data
from stages.schemas.manifest import SPLITS


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name of an entry of `models` in params.yaml")
    for name in ("params", "splits", "photos", "classes", "pretrained", "predictions", "distances", "map", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Extract features, fit, score, write."""
    args = arguments()
    model = settings.read(args.params, f"models.{args.model}", ModelSettings)
    rule = settings.read(args.params, "probe", ProbeSettings)
    loader = settings.read(args.params, "train", LoaderSettings, subset=True)
    classes = class_list.read_classes(args.classes)
    system = runtime.configure(
        derive_seed(loader.seed, args.model), settings.read(args.params, "runtime", RuntimeSettings).n_threads
    )
    splits = split_data.read(args.splits, classes)
    if not splits["train"].image_ids:
        raise TableError(f"{args.splits}: expected photos with the split `train`, found none")
    images = Archive(args.photos)
    shape = pretrained.shape(model, image_size_hw(images, splits["train"]), len(classes))
    pooled = folding.for_inference(pretrained.network(model, shape, pretrained.read(args.pretrained, model)).pooled)
    features = {name: extract_features(pooled, splits[name], images, loader) for name in SPLITS}
    probe = linear_probe.fit_probe(features["train"], len(classes), rule.l2, rule.folds)
    predicted = predict_splits(probe, features)
    predictions.write(args.predictions, to_table(predicted, splits, classes))
    tables.write(args.distances, outlier_scores(features, splits, rule.neighbours))
    tables.write(args.map, feature_map.map_table(features, splits))
    atomic.write_json(args.details, score_splits(probe, predicted, features))
    progress.summary(f"probe {args.model}", **{name: len(splits[name].labels) for name in SPLITS}, device=system)


if __name__ == "__main__":
    command.run(main)
