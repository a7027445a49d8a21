import pytest

from stages.classifiers.engine import keras
from stages.train import schedule
from stages.train.settings import Phase, TrainSettings

PARAMS = TrainSettings(epochs=10, warmup_epochs=2, learning_rate=0.5)


def rates(params, *steps):
    """The rates at steps of a training of three steps an epoch, each asked of the optimiser of its own phase."""
    found = []
    for step in steps:
        stretch = next(one for one in schedule.scheduled_phases(params, 3) if one.first_step <= step < one.end_step)
        rule = schedule.optimizer(params, stretch, 3)._learning_rate
        found.append(float(rule(step - stretch.first_step)))
    return found


def test_the_rate_warms_up_and_falls_to_zero():
    assert rates(PARAMS, 0, 3, 6, 18) == pytest.approx([0, 0.25, 0.5, 0.25], abs=1e-6)
    assert rates(PARAMS, 29)[0] == pytest.approx(0.5 * 0.00428, abs=1e-4)
    assert rates(PARAMS.replace(warmup_epochs=0), 0) == [0.5]


def test_phases_share_one_curve_each_with_a_peak_of_its_own():
    phases = (Phase(epochs=4), Phase(epochs=4, learning_rate=0.05), Phase(epochs=2))
    plan = schedule.scheduled_phases(PARAMS.replace(unfreeze=phases), 3)
    assert [(one.first_step, one.end_step) for one in plan] == [(0, 12), (12, 24), (24, 30)]
    whole = rates(PARAMS, 3, 11, 12, 23, 24, 29)
    found = rates(PARAMS.replace(unfreeze=phases), 3, 11, 12, 23, 24, 29)
    factors = [1, 1, 0.1, 0.1, 1, 1]
    assert found == pytest.approx([factor * rate for factor, rate in zip(factors, whole)], rel=1e-5)


def test_without_epochs_there_is_no_phase():
    assert schedule.scheduled_phases(PARAMS.replace(epochs=0), 3) == []


def test_a_warm_up_longer_than_the_training_leaves_one_step_at_the_peak():
    params = PARAMS.replace(epochs=1, warmup_epochs=9)
    assert rates(params, 0, 1, 2) == pytest.approx([0, 0.25, 0.5])


@pytest.mark.parametrize(("name", "kind"), [("adamw", keras.optimizers.AdamW), ("sgd", keras.optimizers.SGD)])
def test_offsets_and_scales_are_not_decayed(name, kind):
    params = PARAMS.replace(optimizer=name, momentum=0.7, weight_decay=0.02)
    rule = schedule.optimizer(params, schedule.scheduled_phases(params, 3)[0], 3)
    assert type(rule) is kind and rule.weight_decay == 0.02
    if name == "sgd":
        assert rule.momentum == 0.7 and rule.nesterov
    dense, norm = keras.layers.Dense(2), keras.layers.BatchNormalization()
    norm(dense(keras.Input((3,))))
    rule.build([*dense.trainable_variables, *norm.trainable_variables])
    decayed = [variable.name for variable in rule._trainable_variables if rule._use_weight_decay(variable)]
    assert decayed == ["kernel"]


def test_an_envelope_is_made_again_from_its_settings():
    made = schedule.WarmupCosine(0.1, 2, 10, 3)
    assert float(schedule.WarmupCosine.from_config(made.get_config())(4)) == float(made(4))
