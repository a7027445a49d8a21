"""One step of a custom training loop in Keras, on one device or with each batch split over several."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from stages.classifiers.engine import keras, tf
from stages.core.errors import UserError

TrainStep = Callable[[Any, Any], float]


def compiled_train_step(model: keras.Model, forward: keras.Model, strategy: tf.distribute.Strategy) -> TrainStep:
    """Return a function that takes a batch, updates `model` once and returns the mean loss of the batch.

    The function takes images (B, H, W, 3) RGB uint8 and targets (B, C) float32, as a dataset yields them that
    `strategy` distributes. `model` is compiled with an optimizer and a loss, and was built in the scope of `strategy`;
    `forward` computes the same outputs from the same variables.
    The function raises UserError if the loss is not finite.
    """

    def replica_step(images: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = forward(images, training=True)
            loss = model.compute_loss(images, targets, logits)
            scaled_loss = model.optimizer.scale_loss(loss)  # float16: small gradients would become zero
        gradients = tape.gradient(scaled_loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        return loss

    def step(images: Any, targets: Any) -> Any:
        # Keras divides the mean loss of each replica by the number of replicas: the sum is the mean of the batch.
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(replica_step, (images, targets)), axis=None)

    graph = tf.function(step, autograph=False)

    def checked_step(images: Any, targets: Any) -> float:
        loss = float(graph(images, targets))
        if not math.isfinite(loss):
            raise UserError(f"expected a finite loss, found {loss}; lower train.learning_rate")
        return loss

    return checked_step


def averaged_weights(model: keras.Model) -> list[np.ndarray]:
    """Return the weights of `model`, the trainable ones averaged over the steps (EMA; Polyak & Juditsky 1992).

    The optimizer has `use_ema`. Training goes on with the weights that are not averaged.
    """
    swap = keras.callbacks.SwapEMAWeights()
    swap.set_model(model)
    swap.on_test_begin()
    weights = model.get_weights()
    swap.on_test_end()
    return weights
