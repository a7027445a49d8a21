"""Entries of sections `models` and `students`, and the keys of other sections that several stages need."""

import hashlib
from typing import Annotated, Literal

from pydantic import Field

from stages.core.settings import Count, Positive, Seed, Settings, Share, WholeNumber

# Of a model: random weights. A file of this name lies in the folder of pretrained networks, for DVC to depend on.
RANDOM_WEIGHTS = "none"
Dropout = Annotated[float, Field(ge=0, le=0.9)]
Side = Annotated[int, Field(ge=32)]


class LoaderSettings(Settings):
    """The keys of section `train` that bear on every use of a classifier."""

    seed: Seed = Field(0, description="from which each model's own seed is derived")
    batch_size: Count = Field(16, description="photos in a batch; see also `train.min_steps_per_epoch`")


class BagSettings(Settings):
    """The keys of section `train` that bear on which network predicts a photo."""

    seed: Seed = Field(0, description="from which each model's own seed is derived")
    folds: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="networks of each model, each trained without one fold of the photos outside test, their "
        "predictions averaged; null: one network, trained without val",
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


class TeachSettings(Settings):
    """How the ensemble teaches a student, one network in its place (Hinton et al. 2015, arXiv:1503.02531).

    Its loss is the cross-entropy to the labels, with the share `1 - soft_share`, plus `soft_share * temperature ** 2`
    times that between the ensemble's and the student's probabilities, both softened by `temperature`. Photos of
    `ingest.unlabelled` take part with the ensemble's class as their label (Lee 2013, "Pseudo-Label"; Xie et al. 2020,
    arXiv:1911.04252).
    """

    temperature: Annotated[float, Field(ge=1, le=20)] = Field(
        2.0,
        description="probabilities to the power 1 / temperature are learned: 1 keeps them, more tells classes apart",
    )
    soft_share: Share = Field(0.7, description="weight of the ensemble's probabilities in the loss; 0: labels alone")
    min_confidence: Share | None = Field(
        None, description="least probability of the ensemble for a photo without a label; null: these are not used"
    )
    min_agreement: Share = Field(1.0, description="least share of its models that predict the ensemble's class")


def derive_seed(seed: int, name: str) -> int:
    """Derive a seed in 0..2**31-1 from a seed and a name, alike on every machine and in every process."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
