"""Recall and precision of the label issues in the audit, with labels of train swapped on purpose.

Labels are swapped to a random class, or to the class with which the probes confuse them most. Probes are fitted to the
swapped labels and predict out of fold, as in the stages. Labels that were wrong before count as correct.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stages.audit import label_issues
from stages.audit.settings import AuditSettings
from stages.classifiers import folding, pretrained, runtime
from stages.classifiers.image_source import image_size_hw
from stages.classifiers.settings import ModelSettings
from stages.core import settings
from stages.core.archive import Archive
from stages.core.runtime_settings import RuntimeSettings
from stages.probe import linear_probe, probing
from stages.probe.linear_probe import Features, LinearProbe
from stages.probe.settings import ProbeSettings
from stages.schemas import class_list, split_data
from stages.train.settings import TrainSettings, resolve

_SHARE, _REPEATS = 0.05, 4


def read(files: argparse.Namespace, classes: list[str], split_names: Sequence[str]) -> dict[str, list[Features]]:
    """The features of the photos of some splits, by split, each by the untrained network of each model."""
    recipe = settings.read(files.params, "train", TrainSettings)
    runtime.configure(recipe.seed, settings.read(files.params, "runtime", RuntimeSettings).n_threads)
    splits = split_data.read(files.data / "splits.csv", classes)
    features: dict[str, list[Features]] = {name: [] for name in split_names}
    for model_name in sorted(settings.load(files.params)["models"]):
        model = settings.read(files.params, f"models.{model_name}", ModelSettings)
        own = resolve(recipe, model, model_name)
        pictures = Archive(files.data / "model_inputs" / model.input)
        shape = pretrained.shape(model, image_size_hw(pictures, splits["train"]), len(classes))
        network = pretrained.network(model, shape, pretrained.read(files.pretrained, model))
        pooled = folding.for_inference(network.pooled)
        for name in split_names:
            features[name].append(probing.extract_features(pooled, splits[name], pictures, own))
    return features


def fit(features: list[Features], labels: np.ndarray, n_classes: int, rule: ProbeSettings) -> list[LinearProbe]:
    """Probes fitted to `labels`, one for the features of each model."""
    relabelled = [one._replace(labels=labels) for one in features]
    return [linear_probe.fit_probe(one, n_classes, rule.l2, rule.folds) for one in relabelled]


def predict(features: list[Features], labels: np.ndarray, n_classes: int, rule: ProbeSettings) -> np.ndarray:
    """The mean probabilities (N, C) of probes fitted to `labels`, out of fold."""
    return np.mean([probe.out_of_fold for probe in fit(features, labels, n_classes, rule)], axis=0)


def swap_labels(
    labels: np.ndarray, confused_with: np.ndarray | None, n_classes: int, seed: int, share: float = _SHARE
) -> np.ndarray:
    """`labels` with a `share` of them changed, to the class that each is confused with, or to a random one."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(labels), int(share * len(labels)), replace=False)
    random = (labels[chosen] + rng.integers(1, n_classes, len(chosen))) % n_classes
    swapped = labels.copy()
    swapped[chosen] = random if confused_with is None else confused_with[labels[chosen]]
    return swapped


def probability_wrong(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The probability (N,) that each label is wrong, as the audit has it."""
    return label_issues.probability_wrong(labels, probabilities, label_issues.fit(labels, probabilities))


def main() -> None:
    """Print recall and precision for both kinds of swaps, and the number of label issues without any."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("params", "params.yaml"), ("data", "data"), ("pretrained", "models/pretrained")):
        parser.add_argument(f"--{name}", type=Path, default=Path(default))
    files = parser.parse_args()
    classes = class_list.read_classes(files.data / "classes.txt")
    rule = settings.read(files.params, "probe", ProbeSettings)
    least = settings.read(files.params, "audit", AuditSettings).min_wrong
    features, n_classes = read(files, classes, ["train"])["train"], len(classes)
    truth = features[0].labels
    rows = predict(features, truth, n_classes, rule)
    confusion = pd.DataFrame(rows).groupby(truth).mean().reindex(range(n_classes), fill_value=0).to_numpy(copy=True)
    np.fill_diagonal(confusion, 0)
    doubt = probability_wrong(truth, rows)
    print(f"unchanged: {(doubt >= least).sum()} issues of {len(truth)} labels, {doubt.sum():.1f} expected to be wrong")
    print(f"accuracy of the probes {(rows.argmax(axis=1) == truth).mean():.3f}")
    for kind, confused_with in {"to a random class": None, "to the likeliest": confusion.argmax(axis=1)}.items():
        repeats = [swap_labels(truth, confused_with, n_classes, seed) for seed in range(_REPEATS)]
        predicted = [(labels, predict(features, labels, n_classes, rule)) for labels in repeats]
        doubt = np.concatenate([probability_wrong(*pair) for pair in predicted])
        is_issue, is_swap = doubt >= least, np.concatenate([labels != truth for labels, _ in predicted])
        recall, precision = is_issue[is_swap].mean(), is_swap[is_issue].mean() if is_issue.any() else np.nan
        print(
            f"{is_swap.sum()} swaps {kind}: recall {recall:.2f}, precision {precision:.2f}, {doubt.sum():.1f} expected"
        )


if __name__ == "__main__":
    main()
