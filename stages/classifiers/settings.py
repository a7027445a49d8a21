"""Entries of section `models`, and the keys of section `train` that every use of a classifier needs."""

import hashlib
from typing import Annotated, Literal

from pydantic import Field

from stages.core.settings import Count, Positive, Seed, Settings, WholeNumber

# Of a model: random weights. A file of this name lies in the folder of pretrained networks, for DVC to depend on.
RANDOM_WEIGHTS = "none"
Dropout = Annotated[float, Field(ge=0, le=0.9)]
Side = Annotated[int, Field(ge=32)]


class LoaderSettings(Settings):
    """The keys of section `train` that bear on every use of a classifier."""

    seed: Seed = Field(0, description="from which each model's own seed is derived")
    batch_size: Count = Field(16, description="photos in a batch; small batches give more steps per epoch")


class BagSettings(LoaderSettings):
    """The keys of section `train` that bear on which network answers for a photo."""

    folds: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="networks of each model, each trained without one fold of the photos outside test, their answers "
        "averaged; null: one network, trained without val",
    )


class ModelSettings(Settings):
    """A backbone and its head; null keeps what section `train` says."""

    backbone: str = Field(description="`efficientnet_lite0` to `2`, or a network of `keras.applications`")
    weights: str = Field(
        description="a file of models/pretrained, `keras/<backbone>.npz` for ImageNet's through Keras, or `none`"
    )
    input: str = Field(description="an entry of `inputs`: what the network sees")
    input_px: Side | None = Field(
        None, description="longer side to which the network itself shrinks its inputs; null: none"
    )
    pooling: Literal["average", "max", "both"] = Field("average", description="of the feature map")
    embedding: WholeNumber = Field(0, description="units of a dense layer before the classes; 0: none")
    dropout: Dropout | None = Field(None, description="in place of `train.dropout`")
    learning_rate: Positive | None = Field(None, description="in place of `train.learning_rate`")
    epochs: WholeNumber | None = Field(None, description="in place of `train.epochs`")


def derive_seed(seed: int, name: str) -> int:
    """Derive a seed in 0..2**31-1 from a seed and a name, alike on every machine and in every process."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
