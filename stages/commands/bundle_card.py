"""The model card of a bundle, from the files of the run that trained its ensemble."""

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

# Named in the card, for the outputs depend on them.
_PACKAGES = ("keras", "tensorflow", "numpy", "onnx", "onnxruntime", "openvino", "opencv-python-headless", "pillow")


class RunFiles(NamedTuple):
    """The files of a run; the card says of what is missing that it was not measured."""

    params: Path
    metrics: Path
    splits: Path
    predictions: Path
    lock: Path = Path("dvc.lock")
    requirements: Path = Path("requirements.lock")


def render(files: RunFiles, classes: list[str], saved: SavedEnsemble) -> str:
    """Return the card in Markdown. Raises UserError for a damaged file, and for metrics of another ensemble."""
    metrics = CardMetrics.read(files.metrics, sorted(saved.weights))
    scored = (metrics.ensemble or {}).get("weights", saved.weights)
    if scored != saved.weights:
        raise UserError(
            f"{files.metrics}/ensemble/details.json: expected scores of the weights {_listed(saved.weights)}, found "
            f"those of {_listed(scored)}; run `dvc repro`"
        )
    return model_card.render(
        CardData(
            load_settings(files.params),
            classes,
            saved.weights,
            saved.temperature,
            metrics,
            split_table.read(files.splits) if files.splits.is_file() else None,
            predictions.read(files.predictions, classes) if files.predictions.is_file() else None,
            read_provenance(files.metrics / "provenance.json", files.lock, files.requirements),
        )
    )


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
