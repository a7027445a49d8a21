"""The rows of the results table, from the scores of the ensemble and of each model."""

from typing import Any, NamedTuple

from stages.schemas.advice import Advice

Figures = dict[str, Any]
_NOT_SCORED: Figures = {"n": 0}


class ResultRow(NamedTuple):
    """One row of the table; `val` and `test` are scores by name, only `n` = 0 where there are none."""

    name: str
    note: str
    weight: float | None
    val: Figures
    test: Figures


def results_rows(ensemble: dict[str, Any], models: dict[str, dict[str, Figures]]) -> list[ResultRow]:
    """The rows: ensemble, equal weights, manual weights, best single model, then each model by name."""
    weights = ensemble["weights"]
    rows = [
        ResultRow("Ensemble", _weights_note(ensemble), None, _NOT_SCORED, ensemble["test"]),
        ResultRow("Equal weights", "the mean of all models", None, _NOT_SCORED, ensemble["equal_weights"]),
    ]
    if "manual_weights" in ensemble:
        scores = ensemble["manual_weights"]
        rows.append(
            ResultRow("Manual weights", "ensemble.manual_weights, scaled to the sum 1", None, _NOT_SCORED, scores)
        )
    best = ensemble.get("best_single")
    if best:
        note = f"{best['name']}, calibrated; chosen by log loss on {ensemble['fitted_on']}"
        rows.append(ResultRow("Best single model", note, None, _NOT_SCORED, best))
    return rows + [
        ResultRow(name, "", weights[name], scores["val"], scores["test"]) for name, scores in sorted(models.items())
    ]


def _weights_note(ensemble: dict[str, Any]) -> str:
    weights, shrinkage = ensemble["weights"], ensemble["shrinkage"]
    if len(weights) == 1:
        return "one model"
    if len(set(ensemble["fitted_weights"].values())) == 1:
        return "equal weights, not fitted"
    if shrinkage == 1:
        return f"equal weights: fitted weights are not better on {ensemble['fitted_on']}, cross-fitted"
    return f"weights fitted on {ensemble['fitted_on']}" + (
        f", shrinkage {shrinkage:.0%} towards equal weights" if shrinkage else ""
    )


class TtaRow(NamedTuple):
    """A model with one mode of test-time augmentation on test: mean views per photo, accuracy and log loss."""

    model: str
    mode: str
    views: float
    accuracy: float
    log_loss: float


_MODES = {
    "none": "none: the unchanged photo",
    "fixed": "fixed: the first views",
    "adaptive": "adaptive: more views where the first disagree",
    "all": "all views",
}


def tta_rows(models: dict[str, dict[str, Figures]]) -> list[TtaRow]:
    """The scores of each mode of test-time augmentation by model; empty without augmentation."""
    return [
        TtaRow(name, text, modes[mode]["views"], modes[mode]["accuracy"], modes[mode]["log_loss"])
        for name, scores in sorted(models.items())
        for modes in [scores.get("tta", {}).get("test", {})]
        for mode, text in _MODES.items()
        if mode in modes
    ]


def advice_rows(advice: Advice | None) -> list[dict[str, Any]]:
    """What linear probes say of inputs and backbones, the least log loss first; `is_base` marks the base."""
    rows = sorted(advice.rows, key=lambda row: float(row["log_loss"])) if advice else []
    return [row | {"is_base": advice is not None and row["input"] == advice.base} for row in rows]
