import numpy as np
import pytest

from stages.classifiers.engine import keras
from stages.train import schedule
from stages.train.settings import Phase, TrainSettings

SETTINGS = TrainSettings(epochs=10, warmup_epochs=2, learning_rate=0.5)


def learning_rates(settings, *steps):
    """The learning rates at `steps` of a training of three steps per epoch, from the optimizer of each step's phase."""
    rates = []
    for step in steps:
        phases = schedule.scheduled_phases(settings, 3)
        phase = next(phase for phase in phases if phase.first_step <= step < phase.end_step)
        optimizer = schedule.optimizer(settings, phase, 3)
        optimizer.iterations.assign(step - phase.first_step)
        rates.append(float(optimizer.learning_rate))
    return rates


def test_the_rate_warms_up_and_decays_to_zero():
    assert learning_rates(SETTINGS, 0, 3, 6, 18) == pytest.approx([0, 0.25, 0.5, 0.25], abs=1e-6)
    assert learning_rates(SETTINGS, 29)[0] == pytest.approx(0.5 * 0.00428, abs=1e-4)
    assert learning_rates(SETTINGS.replace(warmup_epochs=0), 0) == [0.5]


def test_phases_share_one_curve_with_peaks_of_their_own():
    phases = (Phase(epochs=4), Phase(epochs=4, learning_rate=0.05), Phase(epochs=2))
    scheduled = schedule.scheduled_phases(SETTINGS.replace(unfreeze=phases), 3)
    assert [(phase.first_step, phase.end_step) for phase in scheduled] == [(0, 12), (12, 24), (24, 30)]
    one_phase = learning_rates(SETTINGS, 3, 11, 12, 23, 24, 29)
    three_phases = learning_rates(SETTINGS.replace(unfreeze=phases), 3, 11, 12, 23, 24, 29)
    factors = [1, 1, 0.1, 0.1, 1, 1]
    assert three_phases == pytest.approx([factor * rate for factor, rate in zip(factors, one_phase)], rel=1e-5)


def test_without_epochs_there_is_no_phase():
    assert schedule.scheduled_phases(SETTINGS.replace(epochs=0), 3) == []


def test_a_warmup_longer_than_the_training_ends_before_its_last_step():
    settings = SETTINGS.replace(epochs=1, warmup_epochs=9)
    assert learning_rates(settings, 0, 1, 2) == pytest.approx([0, 0.25, 0.5])


@pytest.mark.parametrize(("name", "kind"), [("adamw", keras.optimizers.AdamW), ("sgd", keras.optimizers.SGD)])
def test_biases_and_normalisation_have_no_weight_decay(name, kind):
    settings = SETTINGS.replace(optimizer=name, momentum=0.7, weight_decay=0.02, warmup_epochs=0)
    optimizer = schedule.optimizer(settings, schedule.scheduled_phases(settings, 3)[0], 3)
    assert type(optimizer) is kind and optimizer.weight_decay == 0.02
    if name == "sgd":
        assert optimizer.momentum == 0.7 and optimizer.nesterov
    dense, norm = keras.layers.Dense(2), keras.layers.BatchNormalization()
    norm(dense(keras.Input((3,))))
    variables = [*dense.trainable_variables, *norm.trainable_variables]
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    # Without a gradient only weight decay changes a variable: by rate x decay = 0.5 x 0.02 of its value.
    optimizer.apply([keras.ops.zeros(variable.shape) for variable in variables], variables)
    values = {variable.name: float(keras.ops.min(variable)) for variable in variables}
    assert values == pytest.approx({"kernel": 0.99, "bias": 1, "gamma": 1, "beta": 1})


def test_a_schedule_is_built_again_from_its_config():
    first = schedule.WarmupCosine(0.1, 2, 10, 3)
    assert float(schedule.WarmupCosine.from_config(first.get_config())(4)) == float(first(4))
