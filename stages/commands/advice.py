"""What crop, mask, fit, size and backbone are worth on these photos, by linear probes on untrained networks.

A linear classifier on pretrained features needs seconds where a training needs minutes, and its accuracy over networks
goes with that after training (Kornblith et al. 2019, arXiv:1805.08974).
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from stages.classifiers.engine import keras
from stages.core import batches
from stages.images.settings import InputSettings
from stages.probe.linear_probe import Features, fit_probe
from stages.probe.settings import ProbeSettings
from stages.resize.composer import Composer
from stages.resize.framing import Sources, UsedPhoto, compose
from stages.scoring import paired
from stages.scoring.probabilities import negative_log_likelihood

# Widths and heights to try, as multiples of the base's; a network's cost goes with their square.
_SCALES = (0.625, 1.0, 1.25, 1.5)
_MULTIPLE = 8
# Around the mask that a crop is cut to: what the mask misses of the car.
_MASK_MARGIN = 0.05


def input_name(item: InputSettings) -> str:
    """A short name of an input, such as `remove 256x160`, `keep cut squash 256x160` or `full_image 256x160`.

    A crop that is cut to its mask with another margin than that of `variants` has the margin in its name.
    """
    what = item.region if item.region == "full_image" else item.background
    cut = {None: [], _MASK_MARGIN: ["cut"]}.get(item.mask_margin, [f"cut {item.mask_margin}"])
    return " ".join([what, *cut, *([] if item.fit == "pad" else [item.fit]), f"{item.width}x{item.height}"])


def variants(base: InputSettings, own: Iterable[InputSettings]) -> dict[str, InputSettings]:
    """The inputs to compare, by name: the base first, then others with one or two things changed, and the user's own.

    The background removed and kept, each at four sizes; blurred; each other fit; the crop cut to its mask, and that
    stretched; and the whole photo.
    """
    crop = base.replace(region="box", background="remove") if base.region == "full_image" else base
    items = [base]
    for scale in _SCALES:
        width, height = (max(32, round(side * scale / _MULTIPLE) * _MULTIPLE) for side in base.frame_wh)
        sized = crop.replace(width=width, height=height) if scale != 1 else crop
        items += [sized.replace(background=background) for background in ("remove", "keep")]
    items.append(crop.replace(background="blur"))
    items += [crop.replace(fit=fit) for fit in ("pad", "reflect", "squash")]
    cut = crop.replace(mask_margin=_MASK_MARGIN)
    items += [crop.replace(mask_margin=None), cut, cut.replace(fit="squash")]
    items.append(crop.replace(region="full_image", background="keep", mask_margin=None))
    return {input_name(item): item for item in (*items, *own)}


def compose_all(sources: Sources, composer: Composer, photos: list[UsedPhoto]) -> Iterator[np.ndarray]:
    """Yield the model input `(height, width, 3)` uint8 RGB of each photo, in order, made ahead by several threads."""
    for _, image in batches.ordered_thread_map(partial(compose, sources, composer), photos, ahead=64):
        yield image


class Extracted(NamedTuple):
    """The features (N, D) float32 of N photos, and the seconds that the network took for all of them."""

    values: np.ndarray
    seconds: float


def extract(images: Iterable[np.ndarray], networks: Mapping[str, keras.Model], batch_size: int) -> dict[str, Extracted]:
    """The features of images (H, W, 3) uint8 RGB by each network, in batches of one shape."""
    values: dict[str, list[np.ndarray]] = {name: [] for name in networks}
    seconds = dict.fromkeys(networks, 0.0)
    for number, batch in enumerate(batches.batched(images, batch_size)):
        filled = np.pad(np.stack(batch), ((0, batch_size - len(batch)), (0, 0), (0, 0), (0, 0)))
        for name, network in networks.items():
            if number == 0:
                network.predict_on_batch(filled)  # traced once, which is no time of the network
            started = time.perf_counter()
            values[name].append(np.asarray(network.predict_on_batch(filled))[: len(batch)])
            seconds[name] += time.perf_counter() - started
    return {name: Extracted(np.concatenate(values[name]), seconds[name]) for name in networks}


class Probed(NamedTuple):
    """Out-of-fold probabilities (N, C) of a probe, and the seconds of its network."""

    probabilities: np.ndarray
    seconds: float


def probe(extracted: Extracted, labels: np.ndarray, groups: list[str], n_classes: int, rule: ProbeSettings) -> Probed:
    """Fit a linear probe to features, near-duplicates in one fold; the penalty is the best one out of fold."""
    fitted = fit_probe(Features(extracted.values, labels, groups), n_classes, rule.l2, rule.folds)
    return Probed(fitted.out_of_fold, extracted.seconds)


def row(one: Probed, base: Probed, labels: np.ndarray, groups: list[str]) -> dict[str, Any]:
    """The figures of one input by one backbone, beside the base by the same backbone; see `schemas.advice.Advice`."""
    losses, reference, both = (
        negative_log_likelihood(labels, rows)
        for rows in (one.probabilities, base.probabilities, (one.probabilities + base.probabilities) / 2)
    )
    found: dict[str, Any] = {
        "accuracy": float((one.probabilities.argmax(axis=1) == labels).mean()),
        "log_loss": float(losses.mean()),
        "time": round(one.seconds / base.seconds, 2),
    }
    for name, difference in (("gain", losses - reference), ("both_gain", both - reference)):
        interval = paired.paired_bootstrap(difference, np.array(groups))
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), interval))
    return found
