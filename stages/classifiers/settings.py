"""Sections `models.<name>`, and the keys of section `train` that every use of a classifier needs."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from stages.core.params import Count, Positive, Range

# Of a model: random weights. A file of this name lies in the folder of pretrained networks, for DVC to depend on.
RANDOM_WEIGHTS = "none"
Dropout = Annotated[float, Range(0, 0.9)]
Side = Annotated[int, Range(32)]


@dataclass(frozen=True)
class LoaderParams:
    """The keys of section `train` that bear on every use of a classifier: seed, photos a batch, threads."""

    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    batch_size: Count = 16
    threads: Count = 2


@dataclass(frozen=True)
class ModelParams:
    """Section `models.<name>`: a backbone and what it wants otherwise than section `train`.

    `weights` is a file in the folder of pretrained networks, `none` starts from random weights. `input_px` is the
    longer side to which the network itself shrinks the photos, null keeps the sides that they have. `pooling` brings
    the feature map to features, `embedding` puts so many of their own before the classes (0: none).
    """

    backbone: str
    weights: str
    input_px: Side | None = None
    pooling: Literal["average", "max", "both"] = "average"
    embedding: Annotated[int, Range(0)] = 0
    dropout: Dropout | None = None
    learning_rate: Positive | None = None
    epochs: Annotated[int, Range(0)] | None = None


def derive_seed(seed: int, name: str) -> int:
    """Derive a seed in 0..2**31-1 from a seed and a name, alike on every machine and in every process."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
