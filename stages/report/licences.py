"""The licences of the networks that a run uses, by the names in params.yaml; ATTRIBUTIONS.md has their sources."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_KNOWN = {
    "centernet_mobilenetv3": "MIT (package `@vladmandic/human`); trained on COCO",
    "u2netp": "Apache-2.0 (U²-Net)",
    "isnet": "MIT, as its package declares",
    "gluoncv/": "Apache-2.0 (GluonCV)",
    "efficientnet_lite": "Apache-2.0; trained on ImageNet",
    "keras/": "as Keras Applications states for it; trained on ImageNet",
}
_UNKNOWN = "not recorded: a file of your own"


class NetworkLicence(NamedTuple):
    """A network, what it is used for, and the licence of its weights."""

    name: str
    use: str
    licence: str


def of_run(settings: Mapping[str, Any], models: Iterable[str]) -> list[NetworkLicence]:
    """The licences of the detector, the segmenters and the pretrained weights of `models`, each once."""
    entries = settings.get("models") or {}
    weights = {str(entries.get(name, {}).get("weights", "not recorded")) for name in models}
    segmenters = {str(item.get("network", "")) for item in (settings.get("segmenters") or {}).values()}
    detector = (settings.get("detect") or {}).get("network")
    rows = [NetworkLicence(str(detector), "detector", _licence(str(detector)))] if detector else []
    rows += [NetworkLicence(name, "segmenter", _licence(name)) for name in sorted(segmenters)]
    named = sorted(weights - {"none"})
    return rows + [NetworkLicence(name, "pretrained weights", _licence(name)) for name in named]


def _licence(name: str) -> str:
    return next((licence for start, licence in _KNOWN.items() if name.startswith(start)), _UNKNOWN)
