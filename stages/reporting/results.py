"""The rows of the headline table, from the metrics of the ensemble and of each model."""

from typing import Any, NamedTuple

Figures = dict[str, Any]
_NOT_SCORED: Figures = {"n": 0}


class Result(NamedTuple):
    """One line of the table; `val` and `test` are figures by name, only `n`, 0, where none were taken."""

    name: str
    note: str
    weight: float | None
    val: Figures
    test: Figures


def headline(ensemble: dict[str, Any], models: dict[str, dict[str, Figures]]) -> list[Result]:
    """The ensemble, equal weights, the best single model, then each model by name."""
    weights = ensemble["weights"]
    found = [
        Result("Ensemble", _how_weighed(weights), None, _NOT_SCORED, ensemble["test"]),
        Result("Equal weights", "the plain mean of all models", None, _NOT_SCORED, ensemble["equal_weights"]),
    ]
    best = ensemble.get("best_single")
    if best:
        found.append(Result("Best single model", f"{best['name']}, by log loss on val", None, _NOT_SCORED, best))
    return found + [Result(name, "", weights[name], of["val"], of["test"]) for name, of in sorted(models.items())]


def _how_weighed(weights: dict[str, float]) -> str:
    if len(weights) == 1:
        return "of one model"
    return "weights fitted on val" if len(set(weights.values())) > 1 else "weights not fitted: all equal"
