"""What a reviewer is worth who looks at the list of label issues from its top, with a tenth of the labels swapped.

Labels of train are swapped by lot to another class. Linear probes are fitted to the swapped labels and predict out of
fold; photos are listed by the probability that their label is wrong, as the audit lists them and `review` shows them.
The reviewer recognises every swap on sight, and corrects it. Probes fitted to the labels that result predict test,
beside those of a reviewer who looks at as many photos in random order, of nothing corrected and of all corrected.
Labels that were wrong before count as correct.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.audit import label_swaps, review_chart
from stages.core import atomic, progress, settings
from stages.probe import linear_probe
from stages.probe.linear_probe import Features, LinearProbe
from stages.probe.settings import ProbeSettings
from stages.schemas import class_list
from stages.scoring import paired
from stages.scoring.probabilities import log_loss

SWAPPED = 0.1
_SHARES = (0.05, 0.1, 0.15, 0.2)
_N_DRAWS = 20


class Photos(NamedTuple):
    """Train and test, as features of each model."""

    train: list[Features]
    test: list[Features]


class Outcome(NamedTuple):
    """What one reviewer reaches: the share of the swaps found, and probabilities (N, C) of test with their labels."""

    found: float
    probabilities: np.ndarray


def in_span_of_train(photos: Photos) -> Photos:
    """The same features as coordinates in the span of those of train, which changes the fit of no probe.

    The kernel of an L2 penalty lies in that span, and there are fewer photos than features.
    """
    pairs = []
    for train, test in zip(*photos):
        with threadpool_limits(1, user_api="blas"):
            basis = np.linalg.qr(train.values.T)[0]
            pairs.append([one._replace(values=one.values @ basis) for one in (train, test)])
    trains, tests = (list(column) for column in zip(*pairs))
    return Photos(trains, tests)


def first(doubt: np.ndarray, share: float) -> np.ndarray:
    """The rows of the first photos by `doubt` (N,), the highest first, when a `share` of all is looked at."""
    return np.argsort(-doubt, kind="stable")[: round(share * len(doubt))]


def found(doubt: np.ndarray, is_swap: np.ndarray, share: float) -> float:
    """The share of the swaps among the first photos by `doubt`: `is_swap` (N,) bool with one swap at least."""
    return float(is_swap[first(doubt, share)].sum() / is_swap.sum())


def correct(labels: np.ndarray, truth: np.ndarray, doubt: np.ndarray, share: float) -> np.ndarray:
    """`labels` (N,) with those of the first photos by `doubt` as in `truth`."""
    corrected = labels.copy()
    rows = first(doubt, share)
    corrected[rows] = truth[rows]
    return corrected


def predict_test(probes: list[LinearProbe], test: list[Features]) -> np.ndarray:
    """The mean probabilities (N, C) of the probes for test."""
    return np.mean([linear_probe.head_probabilities(one.head, part.values) for one, part in zip(probes, test)], axis=0)


def review(photos: Photos, n_classes: int, rule: ProbeSettings, seed: int) -> dict[tuple[str, float], Outcome]:
    """The outcomes of one draw of swaps, by order (`listed`, `random`) and share looked at; share 0 is nothing."""
    truth = photos.train[0].labels
    labels = label_swaps.swap_labels(truth, None, n_classes, seed, SWAPPED)
    probes = label_swaps.fit(photos.train, labels, n_classes, rule)
    listed = label_swaps.probability_wrong(labels, np.mean([probe.out_of_fold for probe in probes], axis=0))
    orders = {"listed": listed, "random": np.random.default_rng([seed, 1]).random(len(truth))}
    outcomes = {(order, 0.0): Outcome(0.0, predict_test(probes, photos.test)) for order in orders}
    for order, doubt in orders.items():
        for share in _SHARES:
            corrected = label_swaps.fit(photos.train, correct(labels, truth, doubt, share), n_classes, rule)
            share_found = found(doubt, labels != truth, share)
            outcomes[order, share] = Outcome(share_found, predict_test(corrected, photos.test))
    return outcomes


def summarise(draws: list[dict[tuple[str, float], Outcome]], ceiling: np.ndarray, test: Features) -> pd.DataFrame:
    """A row for each order and share: means over the draws, and paired gains with their 95 % intervals.

    `ceiling` (N, C) are the probabilities with all labels correct. `regained` is the share of the accuracy lost by the
    swaps; NaN where they cost none. Columns that begin with `over_` are of gains over nothing corrected, and over as
    many photos in random order; `_spread` is the standard error of the gain in accuracy over the draws.
    """
    labels, groups = np.tile(test.labels, len(draws)), list(test.groups) * len(draws)
    # A photo's predictions of all draws are of one group, so that the interval is of their mean.
    predicted = {key: np.concatenate([draw[key].probabilities for draw in draws]) for key in draws[0]}
    floor, best = accuracy(predicted["listed", 0.0], labels), accuracy(ceiling, test.labels)
    rows = []
    for order, share in predicted:
        shares, own = [draw[order, share].found for draw in draws], predicted[order, share]
        reached = accuracy(own, labels)
        row = {"order": order, "share": share, "found": np.mean(shares), "least": min(shares), "most": max(shares)}
        row |= {"accuracy": reached, "log_loss": log_loss(labels, own)}
        row |= {"regained": (reached - floor) / (best - floor) if best > floor else np.nan}
        for name, other in (("nothing", ("listed", 0.0)), ("random", ("random", share))):
            figures = paired.paired_gain(own, predicted[other], labels, groups)
            figures["spread"] = spread(own, predicted[other], labels, len(draws))
            row |= {f"over_{name}_{figure}": value for figure, value in figures.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def spread(probabilities: np.ndarray, others: np.ndarray, labels: np.ndarray, n_draws: int) -> float:
    """The standard error over the draws of a gain in accuracy; NaN for one draw. Draw by draw, rows are (D x N, C)."""
    by_photo = (probabilities.argmax(axis=1) == labels) * 1.0 - (others.argmax(axis=1) == labels)
    return float(pd.Series(by_photo.reshape(n_draws, -1).mean(axis=1)).std() / n_draws**0.5)


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows (N, C) whose likeliest class is the label."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def report(table: pd.DataFrame, ceiling: np.ndarray, test: Features) -> str:
    """The lines of a table of `summarise`, between those of nothing and of all corrected."""
    lines = [f"nothing corrected: {scores(table.iloc[0]['accuracy'], table.iloc[0]['log_loss'])}"]
    for _, row in table[table["share"] > 0].sort_values(["share", "order"]).iterrows():
        lines.append(
            f"{row['share']:.0%} in {row['order']} order: {row['found']:.0%} of the swaps found "
            f"({row['least']:.0%} to {row['most']:.0%}), {scores(row['accuracy'], row['log_loss'])}, "
            f"{row['regained']:.0%} of the lost accuracy regained"
        )
        lines += [f"  over {name}: {gains(row, name)}" for name in ("nothing", "random") if name != row["order"]]
    lines.append(f"all corrected: {scores(accuracy(ceiling, test.labels), log_loss(test.labels, ceiling))}")
    return "\n".join(lines)


def scores(share_correct: float, loss: float) -> str:
    """Accuracy and log loss in words."""
    return f"accuracy {share_correct:.3f}, log loss {loss:.3f}"


def gains(row: pd.Series, name: str) -> str:
    """The gains over `name` in words, with the intervals, and the standard error over the draws."""
    texts = []
    for figure in ("accuracy", "log_loss"):
        mean, low, high = (row[f"over_{name}_{figure}{end}"] for end in ("", "_low", "_high"))
        texts.append(f"{figure.replace('_', ' ')} {mean:+.3f} ({low:+.3f} to {high:+.3f})")
    texts.insert(1, f"standard error over the draws {row[f'over_{name}_spread']:.3f}")
    return ", ".join(texts)


def main() -> None:
    """Print a line for each order and share of photos looked at, and its gains; write the chart if there is a path."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("params", "params.yaml"), ("data", "data"), ("pretrained", "models/pretrained")):
        parser.add_argument(f"--{name}", type=Path, default=Path(default))
    parser.add_argument("--draws", type=int, default=_N_DRAWS, help="of swapped labels; 30 seconds each")
    parser.add_argument("--plot", type=Path, help="an SVG file of the figures")
    files = parser.parse_args()
    classes = class_list.read_classes(files.data / "classes.txt")
    rule = settings.read(files.params, "probe", ProbeSettings)
    photos = in_span_of_train(Photos(**label_swaps.read(files, classes, Photos._fields)))
    seeds = progress.track(range(files.draws), files.draws, "draw", "review")
    draws = [review(photos, len(classes), rule, seed) for seed in seeds]
    train, test = photos.train[0], photos.test[0]
    ceiling = predict_test(label_swaps.fit(photos.train, train.labels, len(classes), rule), photos.test)
    table = summarise(draws, ceiling, test)
    n_train, n_test = len(train.labels), len(test.labels)
    print(f"{n_train} photos of train, {int(SWAPPED * n_train)} swaps in each of {files.draws} draws; {n_test} of test")
    print(report(table, ceiling, test))
    if files.plot:
        chart = review_chart.draw(table, accuracy(ceiling, test.labels), SWAPPED)
        atomic.write_bytes(files.plot, chart.encode())


if __name__ == "__main__":
    main()
