from dataclasses import replace

import numpy as np
import pytest

from stages.classifiers.backbones import ClassifierModels
from stages.classifiers.dataset import ImageSource
from stages.classifiers.engine import keras, tf
from stages.images import images
from stages.train import fit
from stages.train.checkpoint import Checkpoint
from stages.train.settings import AugmentParams, Phase, TrainParams

# Keras 3.15 on NumPy 2.4 warns when it copies a variable out of TensorFlow.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = (8, 12)
PARAMS = TrainParams(epochs=3, batch_size=4, dropout=0, augment=AugmentParams(colour=0), learning_rate=0.01)


@pytest.fixture(scope="module")
def splits():
    """Three classes, told apart by their colour; two photos of each to train on and one to watch."""

    def source(repeats):
        contents = {}
        for number in range(3 * repeats):
            colour = np.eye(3)[number % 3] * 200 + number
            contents[f"{number}.png"] = images.encode(np.tile(colour, (*SIZE, 1)).astype(np.uint8), ".png")
        return ImageSource(contents.__getitem__, list(contents), np.arange(3 * repeats, dtype=np.int64) % 3, SIZE)

    return fit.Splits(source(2), source(1))


def network():
    keras.utils.set_random_seed(0)
    photo = keras.Input((*SIZE, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(photo)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(x))
    logits = keras.layers.Dense(3, name="head")(pooled)
    outputs = pooled, logits, keras.layers.Softmax()(logits)
    return ClassifierModels(*(keras.Model(photo, out) for out in outputs))


@pytest.fixture
def train(tmp_path, splits):
    """A function that trains, with parameters changed, and gives the training, its best epoch and all it told of."""

    def call(made=network, val=None, **changes):
        watched = splits if val is None else fit.Splits(splits.train, val)
        seen, task = [], fit.TrainingTask(lambda _: made(), watched, replace(PARAMS, **changes), is_fresh=True)
        training = fit.Training(task, Checkpoint(tmp_path / "kept.npz", "mark"), seen.append)
        return training, training.run(), seen

    yield call
    Checkpoint(tmp_path / "kept.npz", "mark").remove()


def test_epochs_are_observed_from_the_fitted_head_on(train):
    _, best, seen = train()
    assert [epoch.number for epoch in seen] == [0, 1, 2, 3]
    assert set(seen[0].figures) == {"val/log_loss", "val/accuracy"}
    assert set(seen[1].figures) == {"train/loss", "train/strength", "val/log_loss", "val/accuracy"}
    # Full for 0.6 of 3 epochs of 2 batches of 4, then falling to nothing: photos 7, 15 and 23 of 24 end the epochs.
    strengths = [epoch.figures["train/strength"] for epoch in seen[1:]]
    assert strengths == pytest.approx([1, 1 - (15 / 24 - 0.6) / 0.4, 1 - (23 / 24 - 0.6) / 0.4], abs=1e-6)
    assert seen[1].rates["photos_per_second"] > 0 and not seen[0].rates
    assert best == min(seen, key=lambda epoch: epoch.figures["val/log_loss"])


def test_the_state_kept_is_that_of_the_best_epoch(train, splits):
    # So high a rate spoils what the fitted head knew: the best epoch is the one before training.
    training, best, _ = train(learning_rate=5.0, warmup_epochs=0)
    assert best.number == 0
    assert fit.evaluate(training.network, splits.val, PARAMS) == best.figures


def test_patience_ends_the_training_and_does_not_count_the_fitted_head(train, monkeypatch):
    losses = iter([0.5, 0.9, 0.8, 0.85, 0.81, 0.7])
    monkeypatch.setattr(fit, "evaluate", lambda *_: {"val/log_loss": next(losses)})
    _, best, seen = train(epochs=9, patience=2)
    assert [epoch.number for epoch in seen] == [0, 1, 2, 3, 4] and best.number == 0


def test_without_val_photos_the_last_epoch_is_kept(train):
    _, best, seen = train(val=ImageSource({}.__getitem__, [], np.zeros(0, np.int64), SIZE), patience=1)
    assert best.number == 3 and len(seen) == 4
    assert set(best.figures) == {"train/loss", "train/strength"} and seen[0].figures == {}


def test_no_epochs_leave_the_fitted_head(train):
    assert train(epochs=0)[1].number == 0


def test_phases_follow_one_another_each_with_its_own_network(tmp_path, splits):
    sides, rates = [], []

    def build(side):
        sides.append(side)
        return network()

    phases = (Phase(1, input_px=32), Phase(2, learning_rate=0.005))
    task = fit.TrainingTask(build, splits, replace(PARAMS, unfreeze=phases), is_fresh=True)
    training = fit.Training(task, Checkpoint(tmp_path / "kept.npz", "mark"), lambda epoch: rates.append(epoch.number))
    training.run()
    assert sides == [None, 32, None] and rates == [0, 1, 2, 3]


def test_a_frozen_phase_leaves_the_first_layers_as_they_are_and_a_later_one_does_not(tmp_path, splits):
    kernels = []

    def seen(_epoch):
        kernels.append(training.network.logits.layers[2].get_weights()[0].copy())

    phases = (Phase(1, frozen_share=1.0), Phase(1, frozen_share=0.0))
    task = fit.TrainingTask(lambda _: network(), splits, replace(PARAMS, unfreeze=phases, warmup_epochs=0))
    training = fit.Training(task, Checkpoint(tmp_path / "kept.npz", "mark"), seen)
    training.run()
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[2] - kernels[1]).max() > 0


class Broken(Exception):
    pass


@pytest.mark.parametrize("unfreeze", ["all", (Phase(1, input_px=32), Phase(2))])
@pytest.mark.parametrize("last_step", [0, 1, 2, 3, 5])
def test_a_broken_training_ends_as_one_never_broken(train, monkeypatch, unfreeze, last_step):
    changes = {"unfreeze": unfreeze, "checkpoint_minutes": 1e-12, "optimizer": "adamw" if last_step % 2 else "sgd"}
    changes["ema"] = 0.5 if last_step > 2 else 0.0
    whole, best, seen = train(made=dropping, **changes)
    whole.checkpoint.remove()
    step, taken = fit._train_step, []

    def break_off(*given):
        if len(taken) == last_step:
            raise Broken
        taken.append(step(*given))
        return taken[-1]

    monkeypatch.setattr(fit, "_train_step", break_off)
    with pytest.raises(Broken):
        train(made=dropping, **changes)
    monkeypatch.setattr(fit, "_train_step", step)
    again, best_again, seen_again = train(made=dropping, **changes)
    assert best_again[:2] == best[:2] and [epoch[:2] for epoch in seen_again] == [epoch[:2] for epoch in seen]
    for first, second in zip(whole.network.logits.get_weights(), again.network.logits.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def dropping():
    """The network with a dropout, whose generator is part of the state too."""
    keras.utils.set_random_seed(0)
    photo = keras.Input((*SIZE, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(photo)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(x))
    logits = keras.layers.Dense(3, name="head")(keras.layers.Dropout(0.5, seed=3)(pooled))
    outputs = pooled, logits, keras.layers.Softmax()(logits)
    return ClassifierModels(*(keras.Model(photo, out) for out in outputs))


def test_rare_classes_weigh_more_and_absent_ones_nothing():
    found = fit.balanced(np.array([0, 0, 0, 2]), 3)
    assert found.tolist() == pytest.approx([4 / 6, 0, 2]) and found[[0, 0, 0, 2]].mean() == pytest.approx(1)


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


def test_two_trainings_give_the_same_bits(train):
    tf.config.experimental.enable_op_determinism()
    made = []
    for _ in range(2):
        training, _, _ = train()
        training.checkpoint.remove()
        made.append(training.network.logits.get_weights())
    for first, second in zip(*made, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_loss_that_is_no_number_stops_the_training():
    def spoiled():
        made = network()
        made.logits.set_weights([np.full(w.shape, np.nan) for w in made.logits.weights])
        return made

    with pytest.raises(FloatingPointError, match="the loss is nan; lower"):
        fit._train_step(*compiled(spoiled()))


def compiled(made, rule="sgd"):
    made.logits.compile(rule, fit.smoothed_loss(0, np.ones(3)))
    return made.logits, np.zeros((4, *SIZE, 3), np.uint8), np.eye(3, dtype=np.float32)[[0, 0, 0, 0]]


def test_smoothed_loss_by_hand():
    logits = tf.math.log(tf.constant([[0.5, 0.25, 0.25]]))
    # Smoothing of 0.3 over three classes: 0.8 on the truth, 0.1 on the others.
    expected = 0.8 * np.log(2) + 0.2 * np.log(4)
    for weight in (1.0, 2.5):
        loss = fit.smoothed_loss(0.3, np.array([weight, 7, 7]))
        assert float(loss(tf.constant([[1.0, 0, 0]]), logits)[0]) == pytest.approx(weight * expected, rel=1e-6)
    # A target of two classes: the loss and the weight of either, by their shares.
    loss = fit.smoothed_loss(0.0, np.array([2.0, 6, 7]))
    mixed = float(loss(tf.constant([[0.25, 0.75, 0]]), logits)[0])
    assert mixed == pytest.approx((0.25 * np.log(2) + 0.75 * np.log(4)) * 5, rel=1e-6)


def test_averaged_weights_by_hand():
    made = compiled(network(), keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.75))
    path = []
    for _ in range(3):
        fit._train_step(*made)
        path.append(made[0].get_weights()[0])
    average = path[0]
    for later in path[1:]:
        average = 0.75 * average + 0.25 * later
    np.testing.assert_allclose(fit._averaged(made[0], replace(PARAMS, ema=0.75))[0], average, rtol=1e-6)
    np.testing.assert_array_equal(made[0].get_weights()[0], path[2])
    np.testing.assert_array_equal(fit._averaged(made[0], PARAMS)[0], path[2])
