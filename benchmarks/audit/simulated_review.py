"""How many wrong labels people find who look at the list of label issues from its top, with a tenth of them swapped.

Labels of train are swapped by lot to another class. Linear probes are fitted to the swapped labels and predict out of
fold; photos are listed by the probability that their label is wrong, as the audit lists them and `review` shows them.
The reviewer recognises every swap on sight. Beside it: the share of the order by lot, which is the share looked at,
and of the best order, in which all swaps come first. Labels that were wrong before count as correct.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.audit import label_swaps
from stages.core import settings
from stages.probe.settings import ProbeSettings
from stages.schemas import class_list

_SHARE, _REPEATS = 0.1, 4
_LOOKED_AT = (0.05, 0.1, 0.15, 0.2)


def found(doubt: np.ndarray, is_swap: np.ndarray, share: float) -> float:
    """The share of the swaps among the first photos by `doubt`, the highest first, when a `share` of all is looked at.

    `doubt` (N,) float, `is_swap` (N,) bool with one swap at least.
    """
    order = np.argsort(-doubt, kind="stable")
    return float(is_swap[order[: round(share * len(order))]].sum() / is_swap.sum())


def main() -> None:
    """Print a line for each share of photos looked at, with the range over the draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("params", "params.yaml"), ("data", "data"), ("pretrained", "models/pretrained")):
        parser.add_argument(f"--{name}", type=Path, default=Path(default))
    files = parser.parse_args()
    classes = class_list.read_classes(files.data / "classes.txt")
    rule = settings.read(files.params, "probe", ProbeSettings)
    features = label_swaps.read(files, classes)
    truth = features[0].labels
    draws = []
    for seed in range(_REPEATS):
        labels = label_swaps.swap_labels(truth, None, len(classes), seed, _SHARE)
        probabilities = label_swaps.predict(features, labels, len(classes), rule)
        draws.append((label_swaps.probability_wrong(labels, probabilities), labels != truth))
    n_swaps = sum(int(is_swap.sum()) for _, is_swap in draws)
    print(f"{len(truth)} photos, {n_swaps} swaps in {_REPEATS} draws")
    for share in _LOOKED_AT:
        shares = [found(*draw, share) for draw in draws]
        best = min(1.0, share / _SHARE)
        print(
            f"{share:.0%} looked at: {np.mean(shares):.0%} found ({min(shares):.0%} to {max(shares):.0%}), "
            f"by lot {share:.0%}, at best {best:.0%}"
        )


if __name__ == "__main__":
    main()
