"""The loss of training: cross-entropy with label smoothing and class weights, and to the predictions of a teacher."""

from collections.abc import Callable
from typing import Any

import numpy as np

from stages.classifiers.engine import keras, tf
from stages.classifiers.settings import TeachSettings
from stages.train.settings import TrainSettings

Loss = Callable[[Any, Any], Any]


def training_loss(settings: TrainSettings, labels: np.ndarray, n_classes: int) -> Loss:
    """Return the loss that `settings` describe for a training set with `labels` (N,) in 0..C-1."""
    is_balanced = settings.class_weights == "balanced"
    weights = balanced_class_weights(labels, n_classes) if is_balanced else np.ones(n_classes)
    return weighted_cross_entropy(settings.label_smoothing, weights)


def balanced_class_weights(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return weights (C,) float64, inversely proportional to the class frequencies in `labels` (N,).

    The mean weight over `labels` is 1. A class without a label has weight 0.
    """
    counts = np.bincount(labels, minlength=n_classes)
    n_present = (counts > 0).sum()
    return np.divide(len(labels), n_present * counts, out=np.zeros(n_classes), where=counts > 0)


def weighted_cross_entropy(label_smoothing: float, class_weights: np.ndarray) -> Loss:
    """Return a function of targets (B, C) and logits (B, C), float32, that gives losses (B,).

    The loss is the cross-entropy with label smoothing (Szegedy et al. 2016, arXiv:1512.00567, section 7), times the
    mean of `class_weights` (C,) under the target, which mixup and CutMix spread over several classes.
    """
    weights = tf.constant(class_weights, tf.float32)

    def loss(targets: Any, logits: Any) -> Any:
        entropy = keras.losses.categorical_crossentropy(
            targets, logits, from_logits=True, label_smoothing=label_smoothing
        )
        return entropy * tf.linalg.matvec(targets, weights)

    return loss


def distillation_loss(label_loss: Loss, teach: TeachSettings) -> Loss:
    """Return a function of targets (B, 2 C), those of the labels and then soft ones, and logits (B, C), float32.

    It gives losses (B,): `label_loss` and the cross-entropy to the soft targets, with shares of 1 - `soft_share` and
    `soft_share` (Hinton et al. 2015, arXiv:1503.02531, section 2). The soft targets are softened by the temperature T
    already, the logits are here. The factor T^2 keeps the gradients of both terms of one size for every T.
    """
    factor = teach.soft_share * teach.temperature**2

    def loss(targets: Any, logits: Any) -> Any:
        labels, soft_targets = tf.split(targets, 2, axis=-1)
        softened = keras.losses.categorical_crossentropy(soft_targets, logits / teach.temperature, from_logits=True)
        return (1 - teach.soft_share) * label_loss(labels, logits) + factor * softened

    return loss
