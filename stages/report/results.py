"""The rows of the headline table, from the metrics of the ensemble and of each model."""

from typing import Any, NamedTuple

Figures = dict[str, Any]
_NOT_SCORED: Figures = {"n": 0}


class ResultRow(NamedTuple):
    """One line of the table; `val` and `test` are figures by name, only `n`, 0, where none were taken."""

    name: str
    note: str
    weight: float | None
    val: Figures
    test: Figures


def headline(ensemble: dict[str, Any], models: dict[str, dict[str, Figures]]) -> list[ResultRow]:
    """The ensemble, equal weights, weights given by hand, the best single model, then each model by name."""
    weights = ensemble["weights"]
    found = [
        ResultRow("Ensemble", _how_weighed(ensemble), None, _NOT_SCORED, ensemble["test"]),
        ResultRow("Equal weights", "the plain mean of all models", None, _NOT_SCORED, ensemble["equal_weights"]),
    ]
    if "hand" in ensemble:
        found.append(ResultRow("Weights given by hand", "scaled to sum to one", None, _NOT_SCORED, ensemble["hand"]))
    best = ensemble.get("best_single")
    if best:
        found.append(ResultRow("Best single model", f"{best['name']}, by log loss on val", None, _NOT_SCORED, best))
    return found + [ResultRow(name, "", weights[name], of["val"], of["test"]) for name, of in sorted(models.items())]


def _how_weighed(ensemble: dict[str, Any]) -> str:
    weights, shrink = ensemble["weights"], ensemble["shrink"]
    if len(weights) == 1:
        return "of one model"
    if len(set(ensemble["fitted_weights"].values())) == 1:
        return "weights not fitted: all equal"
    if shrink == 1:
        return "equal weights: fitted ones do no better on val, out of sample"
    return "weights fitted on val" + (f", {shrink:.0%} of the way to equal ones" if shrink else "")


class Views(NamedTuple):
    """A way of looking at test photos: mean number of views a photo, accuracy and log loss of a model."""

    model: str
    way: str
    views: float
    accuracy: float
    log_loss: float


_WAYS = {
    "none": "as they are",
    "fixed": "the first views",
    "adaptive": "more where those disagree",
    "all": "all views",
}


def views(models: dict[str, dict[str, Figures]]) -> list[Views]:
    """What more views of the test photos gain, model by model; none where models looked but once."""
    return [
        Views(name, _WAYS[way], found["views"], found["accuracy"], found["log_loss"])
        for name, of in sorted(models.items())
        for way, found in sorted(of.get("tta", {}).get("test", {}).items(), key=lambda item: list(_WAYS).index(item[0]))
    ]
