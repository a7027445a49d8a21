from functools import partial

import numpy as np
import pytest

from stages.classifiers.engine import tf
from stages.classifiers.image_source import ImageSource
from stages.images import images
from stages.train import fit
from stages.train.checkpoint import Checkpoint
from stages.train.settings import AugmentSettings, Phase, TrainSettings
from tests.train import small_network
from tests.train.small_network import SIZE_HW

# Keras 3.15 on NumPy 2.4 warns when it copies a variable out of TensorFlow.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SETTINGS = TrainSettings(epochs=3, batch_size=4, dropout=0, augment=AugmentSettings(colour=0), learning_rate=0.01)


@pytest.fixture(scope="module")
def splits():
    """Three classes of different colours; two training images and one validation image of each."""

    def source(repeats):
        contents = {}
        for number in range(3 * repeats):
            colour = np.eye(3)[number % 3] * 200 + number
            contents[f"{number}.png"] = images.encode(np.tile(colour, (*SIZE_HW, 1)).astype(np.uint8), ".png")
        labels = np.arange(3 * repeats, dtype=np.int64) % 3
        return ImageSource(contents.__getitem__, list(contents), labels, SIZE_HW)

    return fit.Splits(source(2), source(1))


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "checkpoint.npz", "fingerprint")


@pytest.fixture
def train(checkpoint, splits):
    """A function that trains with changed settings and returns the training, its best epoch and the epochs reported."""

    def call(build=small_network.build, val=splits.val, **changes):
        settings = SETTINGS.replace(**changes)
        task = fit.TrainingTask(lambda _: build(), fit.Splits(splits.train, val), settings, from_scratch=True)
        epochs = []
        training = fit.Training(task, checkpoint, epochs.append)
        return training, training.run(), epochs

    return call


def test_epochs_are_reported_from_the_fitted_head_on(train):
    _, best, epochs = train()
    assert [epoch.number for epoch in epochs] == [0, 1, 2, 3]
    assert set(epochs[0].metrics) == {"val/log_loss", "val/accuracy"}
    assert set(epochs[1].metrics) == {"train/loss", "train/strength", "val/log_loss", "val/accuracy"}
    # 1 for 0.6 of 3 epochs of 2 batches of 4, then a linear decay to 0: images 7, 15 and 23 of 24 end the epochs.
    strengths = [epoch.metrics["train/strength"] for epoch in epochs[1:]]
    assert strengths == pytest.approx([1, 1 - (15 / 24 - 0.6) / 0.4, 1 - (23 / 24 - 0.6) / 0.4], abs=1e-6)
    assert epochs[1].rates["photos_per_second"] > 0 and not epochs[0].rates
    assert best == min(epochs, key=lambda epoch: epoch.metrics["val/log_loss"])


def test_the_weights_of_the_best_epoch_are_kept(train, splits):
    # The learning rate is so high that training only loses what the head learned: epoch 0 is the best.
    training, best, _ = train(learning_rate=5.0, warmup_epochs=0)
    assert best.number == 0
    assert fit.evaluate(training.models.probabilities, splits.val) == best.metrics


def test_early_stopping_does_not_count_the_fitted_head(train, monkeypatch):
    losses = iter([0.5, 0.9, 0.8, 0.85, 0.81, 0.7])
    monkeypatch.setattr(fit, "evaluate", lambda *_: {"val/log_loss": next(losses)})
    _, best, epochs = train(epochs=9, patience=2)
    assert [epoch.number for epoch in epochs] == [0, 1, 2, 3, 4] and best.number == 0


def test_without_validation_images_the_last_epoch_is_kept(train):
    no_images = ImageSource({}.__getitem__, [], np.zeros(0, np.int64), SIZE_HW)
    _, best, epochs = train(val=no_images, patience=1)
    assert best.number == 3 and len(epochs) == 4
    assert set(best.metrics) == {"train/loss", "train/strength"} and epochs[0].metrics == {}


def test_zero_epochs_leave_the_fitted_head(train):
    assert train(epochs=0)[1].number == 0


def test_each_phase_builds_a_network_of_its_own_side(checkpoint, splits):
    sides, epochs = [], []

    def build(side):
        sides.append(side)
        return small_network.build()

    phases = (Phase(epochs=1, input_px=32), Phase(epochs=2, learning_rate=0.005))
    task = fit.TrainingTask(build, splits, SETTINGS.replace(unfreeze=phases), from_scratch=True)
    fit.Training(task, checkpoint, epochs.append).run()
    assert sides == [None, 32, None] and [epoch.number for epoch in epochs] == [0, 1, 2, 3]


def test_frozen_layers_keep_their_weights_until_a_phase_unfreezes_them(checkpoint, splits):
    kernels = []

    def on_epoch_end(_epoch):
        kernels.append(training.models.logits.layers[2].get_weights()[0].copy())

    phases = (Phase(epochs=1, frozen_share=1.0), Phase(epochs=1, frozen_share=0.0))
    settings = SETTINGS.replace(unfreeze=phases, warmup_epochs=0)
    task = fit.TrainingTask(lambda _: small_network.build(), splits, settings)
    training = fit.Training(task, checkpoint, on_epoch_end)
    training.run()
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[2] - kernels[1]).max() > 0


class Interrupted(Exception):
    pass


def interrupt_after(n_steps, monkeypatch):
    """Make the training raise in place of the step after `n_steps`."""
    compile_step, n_done = fit.compiled_train_step, 0

    def compiled_train_step(*arguments):
        step = compile_step(*arguments)

        def counted(*batch):
            nonlocal n_done
            if n_done == n_steps:
                raise Interrupted
            n_done += 1
            return step(*batch)

        return counted

    monkeypatch.setattr(fit, "compiled_train_step", compiled_train_step)


@pytest.mark.parametrize("unfreeze", ["all", (Phase(epochs=1, input_px=32), Phase(epochs=2))])
@pytest.mark.parametrize("n_steps", [0, 1, 2, 3, 5])
def test_a_resumed_training_ends_as_one_without_interruption(train, monkeypatch, unfreeze, n_steps):
    changes = {"unfreeze": unfreeze, "checkpoint_minutes": 1e-12, "optimizer": "adamw" if n_steps % 2 else "sgd"}
    changes |= {"ema": 0.5 if n_steps > 2 else 0.0, "build": partial(small_network.build, dropout=0.5)}
    whole, best, epochs = train(**changes)
    whole.checkpoint.remove()
    with monkeypatch.context() as context:
        interrupt_after(n_steps, context)
        with pytest.raises(Interrupted):
            train(**changes)
    resumed, resumed_best, resumed_epochs = train(**changes)
    assert resumed_best[:2] == best[:2]
    assert [epoch[:2] for epoch in resumed_epochs] == [epoch[:2] for epoch in epochs]
    for first, second in zip(whole.models.logits.get_weights(), resumed.models.logits.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_head_is_fitted_on_the_features(splits):
    models = small_network.build()
    fit.fit_head(models, splits.train, SETTINGS.replace(head_l2=1e-5))
    assert fit.evaluate(models.probabilities, splits.val)["val/accuracy"] == 1.0


def test_two_trainings_give_the_same_bits(train):
    tf.config.experimental.enable_op_determinism()
    weights = []
    for _ in range(2):
        training, _, _ = train()
        training.checkpoint.remove()
        weights.append(training.models.logits.get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)
