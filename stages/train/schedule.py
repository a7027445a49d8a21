"""The schedule of a training: its phases, their steps, and the learning rate of every step."""

import math
from typing import Any, NamedTuple

from stages.classifiers.engine import keras
from stages.train.settings import Phase, TrainSettings


class ScheduledPhase(NamedTuple):
    """The settings of a phase and its steps: `first_step` up to, but not including, `end_step`."""

    settings: Phase
    first_step: int
    end_step: int


def scheduled_phases(settings: TrainSettings, steps_per_epoch: int) -> list[ScheduledPhase]:
    """Return the phases of `settings`, each beginning where the one before it ends."""
    scheduled, step = [], 0
    for phase in settings.phases():
        end = step + phase.epochs * steps_per_epoch
        scheduled.append(ScheduledPhase(phase, step, end))
        step = end
    return scheduled


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up and cosine decay to zero over `n_steps` of the training, `peak` their maximum.

    Step 0 of the schedule is step `first_step` of the training: all phases share one curve, so only the first one warms
    up and only the last one decays to zero. Cosine: Loshchilov & Hutter 2017, arXiv:1608.03983.
    """

    def __init__(self, peak: float, n_warmup: int, n_steps: int, first_step: int = 0) -> None:
        self.peak, self.n_warmup, self.n_steps, self.first_step = peak, n_warmup, n_steps, first_step

    def __call__(self, step: Any) -> Any:
        """Return the learning rate, a float32 scalar, at `step` of the phase."""
        position = keras.ops.cast(step, "float32") + self.first_step
        warmup = position / max(1, self.n_warmup)
        progress = (position - self.n_warmup) / max(1, self.n_steps - self.n_warmup)
        cosine = (1 + keras.ops.cos(math.pi * keras.ops.clip(progress, 0, 1))) / 2
        return self.peak * keras.ops.where(position < self.n_warmup, warmup, cosine)

    def get_config(self) -> dict[str, float]:
        """Return the arguments of an equal schedule."""
        return dict(vars(self))


def optimizer(settings: TrainSettings, phase: ScheduledPhase, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Return AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) or SGD with Nesterov momentum (Sutskever et al. 2013).

    Weight decay leaves out biases and the parameters of normalisation: it would pull scales of 1 towards 0.
    """
    n_steps = settings.n_epochs() * steps_per_epoch
    n_warmup = min(round(settings.warmup_epochs * steps_per_epoch), n_steps - 1)
    peak = phase.settings.learning_rate or settings.learning_rate
    rate = WarmupCosine(peak, n_warmup, n_steps, phase.first_step)
    shared: Any = {"weight_decay": settings.weight_decay, "use_ema": settings.ema > 0, "ema_momentum": settings.ema}
    if settings.optimizer == "sgd":
        chosen = keras.optimizers.SGD(rate, momentum=settings.momentum, nesterov=True, **shared)
    else:
        chosen = keras.optimizers.AdamW(rate, **shared)
    chosen.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return chosen
