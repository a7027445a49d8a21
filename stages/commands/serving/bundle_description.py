"""What a bundle says of its ensemble, for callers of the server."""

import hashlib
from dataclasses import asdict

from stages.commands import bundle_manifest
from stages.commands.serving.limits import ServingLimits
from stages.commands.serving.responses import EnsembleResponse, InputDescription, ModelWeight
from stages.commands.trained_ensemble import EnsembleFiles
from stages.core.settings import load as load_settings
from stages.images.settings import InputSettings


def describe(files: EnsembleFiles, limits: ServingLimits) -> EnsembleResponse:
    """The description of the ensemble of a bundle that was verified."""
    settings, saved = load_settings(files.settings), files.read_weights()
    preprocessing = files.preprocessing()
    models = [
        ModelWeight(name=name, weight=saved.weights[name], backbone=entry["backbone"], input=entry["input"])
        for name in files.models()
        for entry in [settings["models"][name]]
    ]
    manifest, card = files.folder / bundle_manifest.NAME, files.folder / bundle_manifest.CARD
    return EnsembleResponse(
        format=bundle_manifest.FORMAT,
        manifest_sha256=hashlib.sha256(manifest.read_bytes()).hexdigest(),
        classes=files.read_classes(),
        models=models,
        inputs=[_input(name, item) for name, item in preprocessing.inputs.items()],
        temperature=saved.temperature,
        detector=preprocessing.detect.network,
        segmenters=list(preprocessing.segmenters),
        tta=settings["tta"]["mode"],
        limits=asdict(limits),
        card=card.read_text(encoding="utf-8") if card.is_file() else "",
    )


def _input(name: str, item: InputSettings) -> InputDescription:
    return InputDescription(name=name, **item.model_dump())
