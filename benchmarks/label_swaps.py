"""How many wrong labels the audit finds, and how many right ones it doubts: labels of train swapped on purpose.

Swaps go to another class by lot, or to the class that the probes take for it most; probes are fitted to the swapped
labels and asked about photos that they did not see, as the stages do. Labels that are wrong already count as right.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from stages.audit import label_issues
from stages.audit.settings import AuditSettings
from stages.classifiers import dataset, pretrained, runtime
from stages.classifiers.settings import ModelSettings
from stages.core import settings
from stages.core.archive import Archive
from stages.core.runtime_settings import RuntimeSettings
from stages.probe import linear_probe, probing
from stages.probe.linear_probe import Features
from stages.probe.settings import ProbeSettings
from stages.schemas import class_list, split_data
from stages.train.settings import TrainSettings, resolve

_SHARE, _DRAWS = 0.05, 4


def read(files: argparse.Namespace, classes: list[str]) -> list[Features]:
    """What each model's untrained network makes of the photos of train."""
    recipe = settings.read(files.params, "train", TrainSettings)
    runtime.configure(recipe.seed, settings.read(files.params, "runtime", RuntimeSettings).n_threads)
    chosen = split_data.read(files.data / "model_inputs.csv", classes)["train"]
    pictures = Archive(files.data / "model_inputs.zip")
    size_hw = dataset.image_size_hw(pictures, chosen)
    found = []
    for name in sorted(settings.load(files.params)["models"]):
        model = settings.read(files.params, f"models.{name}", ModelSettings)
        own = resolve(recipe, model, name)
        shape = pretrained.shape(model, size_hw, len(classes))
        network = pretrained.network(model, shape, pretrained.read(files.pretrained, model))
        found.append(probing.extract_features(network, chosen, pictures, own))
    return found


def ask(seen: list[Features], labels: np.ndarray, n_classes: int, rule: ProbeSettings) -> np.ndarray:
    """The mean probabilities (N, C) of probes fitted to `labels`, each photo's out of fold."""
    relabelled = [features._replace(labels=labels) for features in seen]
    return np.mean(
        [linear_probe.fit_probe(one, n_classes, rule.l2, rule.folds).out_of_fold for one in relabelled], axis=0
    )


def swapped(labels: np.ndarray, mistaken_for: np.ndarray | None, n_classes: int, seed: int) -> np.ndarray:
    """`labels` with a share of them changed, each to the class it is mistaken for, or by lot."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(labels), int(_SHARE * len(labels)), replace=False)
    by_lot = (labels[chosen] + rng.integers(1, n_classes, len(chosen))) % n_classes
    found = labels.copy()
    found[chosen] = by_lot if mistaken_for is None else mistaken_for[labels[chosen]]
    return found


def main() -> None:
    """Print recall and precision for both kinds of swaps, and the doubts without any."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("params", "params.yaml"), ("data", "data"), ("pretrained", "models/pretrained")):
        parser.add_argument(f"--{name}", type=Path, default=Path(default))
    files = parser.parse_args()
    classes = class_list.read_classes(files.data / "classes.txt")
    rule, audit = (
        settings.read(files.params, "probe", ProbeSettings),
        settings.read(files.params, "audit", AuditSettings),
    )
    seen, n_classes = read(files, classes), len(classes)
    truth = seen[0].labels
    rows = ask(seen, truth, n_classes, rule)
    wrong = pd.DataFrame(rows).groupby(truth).mean().reindex(range(n_classes), fill_value=0).to_numpy(copy=True)
    np.fill_diagonal(wrong, 0)
    right = (rows.argmax(axis=1) == truth).mean()
    for limit in (audit.max_probability, 1.0):
        n_doubts = int(label_issues.find_label_issues(truth, rows, limit).sum())
        print(
            f"limit {limit}: {n_doubts} doubts of {len(truth)} labels as they are; the probes are right on {right:.3f}"
        )
    for kind, mistaken_for in {"by lot": None, "to the likeliest": wrong.argmax(axis=1)}.items():
        draws = [swapped(truth, mistaken_for, n_classes, seed) for seed in range(_DRAWS)]
        answers = [(labels, ask(seen, labels, n_classes, rule)) for labels in draws]
        for limit in (audit.max_probability, 1.0):
            found = np.concatenate([label_issues.find_label_issues(labels, given, limit) for labels, given in answers])
            is_swap = np.concatenate([labels != truth for labels, _ in answers])
            recall, precision = found[is_swap].mean(), is_swap[found].mean()
            print(f"limit {limit}: {is_swap.sum()} swaps {kind}: recall {recall:.2f}, precision {precision:.2f}")


if __name__ == "__main__":
    main()
