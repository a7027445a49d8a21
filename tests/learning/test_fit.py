from dataclasses import replace

import cv2
import numpy as np
import pytest

from stages.learning import fit
from stages.learning.backbones import Network
from stages.learning.dataset import Source
from stages.learning.engine import keras, tf
from stages.learning.recipe import AugmentParams, TrainParams

# Keras 3.15 on NumPy 2.4 warns when it copies a variable out of TensorFlow.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDE = 8
PARAMS = TrainParams(epochs=3, batch_size=4, dropout=0, augment=AugmentParams(colour=0), learning_rate=0.01)


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    """Three classes, told apart by their colour; two photos of each to train on and one to watch."""
    folder = tmp_path_factory.mktemp("photos")

    def source(name, repeats):
        files = []
        for number in range(3 * repeats):
            files.append(str(folder / f"{name}{number}.png"))
            colour = np.eye(3)[number % 3] * 200 + number
            cv2.imwrite(files[-1], np.tile(colour, (SIDE, SIDE, 1)).astype(np.uint8))
        return Source(files, np.arange(3 * repeats, dtype=np.int64) % 3, SIDE)

    return fit.Splits(source("train", 2), source("val", 1))


def network():
    keras.utils.set_random_seed(0)
    photo = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(photo)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(x))
    logits = keras.layers.Dense(3, name="head")(pooled)
    outputs = pooled, logits, keras.layers.Softmax()(logits)
    return Network(*(keras.Model(photo, out) for out in outputs))


def nothing(_epoch):
    pass


def test_epochs_are_observed_from_the_fitted_head_on(splits):
    seen = []
    best = fit.fit(network(), splits, PARAMS, seen.append)
    assert [epoch.number for epoch in seen] == [0, 1, 2, 3]
    assert set(seen[0].figures) == {"val/log_loss", "val/accuracy"}
    assert set(seen[1].figures) == {"train/loss", "val/log_loss", "val/accuracy"}
    assert seen[1].rates["photos_per_second"] > 0 and not seen[0].rates
    assert best == min(seen, key=lambda epoch: epoch.figures["val/log_loss"])


def test_the_state_kept_is_that_of_the_best_epoch(splits):
    # So high a rate spoils what the fitted head knew: the best epoch is the one before training.
    made = network()
    best = fit.fit(made, splits, replace(PARAMS, learning_rate=5.0, warmup_epochs=0), nothing)
    assert best.number == 0
    assert fit.evaluate(made, splits.val, PARAMS) == best.figures


def test_patience_ends_the_training(splits):
    seen = []
    spoiled = replace(PARAMS, learning_rate=5.0, warmup_epochs=0, epochs=9, patience=2)
    fit.fit(network(), splits, spoiled, seen.append)
    assert [epoch.number for epoch in seen] == [0, 1, 2]


def test_without_val_photos_the_last_epoch_is_kept(splits):
    seen, made = [], network()
    empty = Source([], np.zeros(0, np.int64), SIDE)
    best = fit.fit(made, fit.Splits(splits.train, empty), replace(PARAMS, patience=1), seen.append)
    assert best.number == 3 and len(seen) == 4
    assert set(best.figures) == {"train/loss"} and seen[0].figures == {}


def test_no_epochs_leave_the_fitted_head(splits):
    assert fit.fit(network(), splits, replace(PARAMS, epochs=0), nothing).number == 0


def test_the_head_is_fitted_on_the_features(splits):
    made = network()
    fit.fit_head(made, splits.train, replace(PARAMS, probe_l2=1e-5))
    assert fit.evaluate(made, splits.val, PARAMS)["val/accuracy"] == 1.0


def test_figures_of_val_do_not_depend_on_the_variation(splits):
    made = network()
    wild = AugmentParams(flip=1, affine=1, colour=1, cutout=1, cutout_side=1)
    calm = AugmentParams(flip=0, affine=0, colour=0, cutout=0)
    found = [fit.evaluate(made, splits.val, replace(PARAMS, augment=params)) for params in (wild, calm)]
    assert found[0] == found[1]


def test_two_trainings_give_the_same_bits(splits):
    tf.config.experimental.enable_op_determinism()
    made = [network(), network()]
    for each in made:
        fit.fit(each, splits, PARAMS, nothing)
    for first, second in zip(made[0].logits.get_weights(), made[1].logits.get_weights()):
        np.testing.assert_array_equal(first, second)


def test_a_loss_that_is_no_number_stops_the_training(splits):
    with pytest.raises(FloatingPointError, match="epoch 1/3: the loss is nan; lower"):
        made = network()
        made.logits.set_weights([np.full(w.shape, np.nan) for w in made.logits.weights])
        fit._train_epoch(*compiled(made, splits), 1, "epoch 1/3")


def compiled(made, splits):
    made.logits.compile("sgd", fit.smoothed_loss(0))
    return made.logits, iter(fit.dataset.training(splits.train, PARAMS))


def test_the_rate_warms_up_and_falls_to_zero():
    params = replace(PARAMS, epochs=10, warmup_epochs=2, learning_rate=0.5)
    schedule = fit.optimizer(params, steps_per_epoch=3)._learning_rate
    found = [float(schedule(step)) for step in (0, 3, 6, 18, 30)]
    assert found == pytest.approx([0, 0.25, 0.5, 0.25, 0], abs=1e-6)
    flat = fit.optimizer(replace(params, warmup_epochs=0), 3)._learning_rate
    assert float(flat(0)) == 0.5


def test_smoothed_loss_by_hand():
    logits = tf.math.log(tf.constant([[0.5, 0.25, 0.25]]))
    # Smoothing of 0.3 over three classes: 0.8 on the truth, 0.1 on the others.
    expected = 0.8 * np.log(2) + 0.2 * np.log(4)
    assert float(fit.smoothed_loss(0.3)(tf.constant([0]), logits)[0]) == pytest.approx(expected, rel=1e-6)
