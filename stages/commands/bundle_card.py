"""The model card of a bundle, from the files of the run that trained what is in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stages.core import json_file, system
from stages.core.errors import UserError
from stages.core.result_cache import digest_of
from stages.core.settings import load as load_settings
from stages.ensemble.weighting import SavedEnsemble
from stages.report import model_card
from stages.report.model_card_data import CardData, CardMetrics, Provenance
from stages.schemas import predictions, split_table
from stages.schemas.predictions import Predictions
from stages.scoring.temperature_scaling import apply_temperature

# Named in the card, for the outputs depend on them.
_PACKAGES = ("keras", "tensorflow", "numpy", "onnx", "onnxruntime", "openvino", "opencv-python-headless", "pillow")


class RunFiles(NamedTuple):
    """The files of a run; the card says of what is missing that it was not measured."""

    params: Path
    metrics: Path
    data: Path
    lock: Path = Path("dvc.lock")
    requirements: Path = Path("requirements.lock")


def render(files: RunFiles, classes: list[str], saved: SavedEnsemble, section: str = "models") -> str:
    """Return the card in Markdown of the ensemble, or of a student where `section` is `students`.

    Raises UserError for a damaged file, and for metrics of another ensemble.
    """
    settings, splits = load_settings(files.params), files.data / "splits.csv"
    is_student = section == "students"
    read = _read_student if is_student else _read_ensemble
    metrics, predicted = read(files, classes, saved)
    return model_card.render(
        CardData(
            {**settings, "models": settings.get(section)},
            classes,
            saved.weights,
            saved.temperature,
            metrics,
            split_table.read(splits) if splits.is_file() else None,
            predicted,
            read_provenance(files.metrics / "provenance.json", files.lock, files.requirements),
            is_student,
        )
    )


def _read_ensemble(files: RunFiles, classes: list[str], saved: SavedEnsemble) -> tuple[CardMetrics, Predictions | None]:
    metrics = CardMetrics.read(files.metrics, sorted(saved.weights))
    scored = (metrics.ensemble or {}).get("weights", saved.weights)
    if scored != saved.weights:
        raise UserError(
            f"{files.metrics}/ensemble/details.json: expected scores of the weights {_listed(saved.weights)}, found "
            f"those of {_listed(scored)}; run `dvc repro`"
        )
    return metrics, _read_predictions(files.data / "ensemble_predictions.csv", classes)


def _read_student(files: RunFiles, classes: list[str], saved: SavedEnsemble) -> tuple[CardMetrics, Predictions | None]:
    """The figures of a student alone; its predictions are stored without its temperature."""
    (name,) = saved.weights
    predicted = _read_predictions(files.data / "students" / name / "predictions.csv", classes)
    if predicted is not None:
        calibrated = apply_temperature(predicted.probabilities, saved.temperature)
        predicted = predicted._replace(probabilities=calibrated)
    details = files.metrics / "students" / name / "details.json"
    scores = {name: json_file.read(details) if details.is_file() else None}
    return CardMetrics.read(files.metrics, [])._replace(ensemble=None, models=scores), predicted


def _read_predictions(path: Path, classes: list[str]) -> Predictions | None:
    return predictions.read(path, classes) if path.is_file() else None


def read_provenance(path: Path, lock: Path, requirements: Path) -> Provenance | None:
    """The recorded provenance with the versions of the locked packages; None where it is of another `lock`."""
    if not (path.is_file() and lock.is_file()):
        return None
    facts = json_file.read(path, advice="run `python -m stages provenance`")
    if facts.get("dvc_lock_sha256") != digest_of([lock]):
        return None
    locked = system.locked(requirements) if requirements.is_file() else {}
    return Provenance(facts, {name: locked[name] for name in _PACKAGES if name in locked})


def _listed(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:.3f}" for name, weight in sorted(weights.items()))
