"""The plan of a training: its phases, how many steps each takes, and the learning rate of every step."""

import math
from typing import Any, NamedTuple

from stages.classifiers.engine import keras
from stages.train.settings import Phase, TrainParams


class ScheduledPhase(NamedTuple):
    """One phase as it will be run: its steps are `first_step` up to `end_step`, which is not one of them."""

    phase: Phase
    first_step: int
    end_step: int


def scheduled_phases(params: TrainParams, steps_per_epoch: int) -> list[ScheduledPhase]:
    """Lay the phases of `params` one behind the other."""
    found, step = [], 0
    for phase in params.phases():
        end = step + phase.epochs * steps_per_epoch
        found.append(ScheduledPhase(phase, step, end))
        step = end
    return found


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """The rate at step `first_step` + n of a training of `n_steps`: `peak` times one warm-up and one cosine for all.

    A phase multiplies the curve of the whole training instead of beginning one of its own, so the rate of the last
    phase ends at zero, and none but the first is warmed up (cosine: Loshchilov & Hutter 2017, arXiv:1608.03983).
    """

    def __init__(self, peak: float, n_warmup: int, n_steps: int, first_step: int = 0) -> None:
        self.peak, self.n_warmup, self.n_steps, self.first_step = peak, n_warmup, n_steps, first_step

    def __call__(self, step: Any) -> Any:
        """Return the rate, a float32 scalar, of a step counted from the phase's own first one."""
        done = keras.ops.cast(step, "float32") + self.first_step
        rising = done / max(1, self.n_warmup)
        falling = (done - self.n_warmup) / max(1, self.n_steps - self.n_warmup)
        cosine = (1 + keras.ops.cos(math.pi * keras.ops.clip(falling, 0, 1))) / 2
        return self.peak * keras.ops.where(done < self.n_warmup, rising, cosine)

    def get_config(self) -> dict[str, float]:
        """Return the arguments that make an equal one."""
        return dict(vars(self))


def optimizer(params: TrainParams, stretch: ScheduledPhase, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), or SGD with Nesterov's momentum (Sutskever et al. 2013).

    Offsets and the scales of normalisation are not decayed: that would pull a scale of one towards nought.
    """
    n_steps = params.n_epochs() * steps_per_epoch
    n_warmup = min(round(params.warmup_epochs * steps_per_epoch), n_steps - 1)
    peak = stretch.phase.learning_rate or params.learning_rate
    rate = WarmupCosine(peak, n_warmup, n_steps, stretch.first_step)
    shared: Any = {"weight_decay": params.weight_decay, "use_ema": params.ema > 0, "ema_momentum": params.ema}
    if params.optimizer == "sgd":
        chosen = keras.optimizers.SGD(rate, momentum=params.momentum, nesterov=True, **shared)
    else:
        chosen = keras.optimizers.AdamW(rate, **shared)
    chosen.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return chosen
