"""Which parameters to try next, by Optuna; and which of them mattered."""

from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from stages.classifiers.settings import derive_seed
from stages.commands.search_record import Trial
from stages.commands.search_space import Distribution, Search, Value, Values


def propose(search: Search, trials: Sequence[Trial], running: Sequence[Values], number: int) -> dict[str, Value]:
    """The values of trial `number`, from the trials that ended and the values of those that run now.

    The tree-structured Parzen estimator (Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization, section 4),
    after ten trials at random. The seed is derived from `number`, so a search that was killed and goes on proposes what
    it would have without. Failed trials say nothing.
    """
    study = _study(search, trials, TPESampler(seed=derive_seed(search.seed, f"trial {number}")))
    study.add_trials([_frozen(search, values, None) for values in running])
    return dict(study.ask(_distributions(search)).params)


def importances(search: Search, trials: Sequence[Trial]) -> dict[str, float]:
    """The share of each parameter in what makes trials good, the highest first; they sum to one.

    PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255).
    """
    return optuna.importance.get_param_importances(_study(search, trials, None))


def _study(search: Search, trials: Sequence[Trial], sampler: TPESampler | None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    done = [trial for trial in trials if trial.val_log_loss is not None]
    study.add_trials([_frozen(search, trial.values, trial.val_log_loss) for trial in done])
    return study


def _frozen(search: Search, values: Values, loss: float | None) -> FrozenTrial:
    state = TrialState.RUNNING if loss is None else TrialState.COMPLETE
    return create_trial(state=state, params=dict(values), distributions=_distributions(search), value=loss)


def _distributions(search: Search) -> dict[str, BaseDistribution]:
    return {key: _distribution(search.space[key]) for key in sorted(search.space)}


def _distribution(distribution: Distribution) -> BaseDistribution:
    if distribution.type == "categorical":
        return CategoricalDistribution(distribution.choices or ())
    low, high = distribution.low or 0.0, distribution.high or 0.0
    if distribution.type == "int":
        return IntDistribution(int(low), int(high), log=distribution.log)
    return FloatDistribution(low, high, log=distribution.log)
