"""A network of one convolution for tests of the training loop."""

import numpy as np

from stages.classifiers.backbones import ClassifierModels
from stages.classifiers.engine import keras

SIZE_HW = (8, 12)


def build(dropout=0.0):
    """Models for three classes with the same weights at every call; the state of dropout is part of a training's."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*SIZE_HW, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(image)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(x))
    dropped = keras.layers.Dropout(dropout, seed=3)(pooled) if dropout else pooled
    logits = keras.layers.Dense(3, name="head")(dropped)
    outputs = pooled, logits, keras.layers.Softmax()(logits)
    return ClassifierModels(*(keras.Model(image, output) for output in outputs))


def batch():
    """Four black images of class 0."""
    return np.zeros((4, *SIZE_HW, 3), np.uint8), np.eye(3, dtype=np.float32)[[0, 0, 0, 0]]
