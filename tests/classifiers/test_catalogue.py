"""The light list of backbones against the networks themselves and the pipelines that provide their weights."""

from pathlib import Path

import pytest
import yaml

from stages.classifiers import backbones, catalogue, efficientnet_lite

FOLDER = Path(__file__).resolve().parents[2] / "models" / "pretrained"


def test_the_names_are_those_of_the_backbones():
    assert set(catalogue.WEIGHTS) == set(backbones.BACKBONES)
    assert set(catalogue.EFFICIENTNET_LITES) == set(efficientnet_lite.SCALES)


def test_each_file_of_weights_is_an_output_of_a_pipeline():
    networks = yaml.safe_load((FOLDER / "dvc.yaml").read_text("utf-8"))["vars"][0]["networks"]
    keras = yaml.safe_load((FOLDER / "keras" / "dvc.yaml").read_text("utf-8"))["stages"]["download"]["foreach"]
    provided = {network["file"] for network in networks.values()} | {f"keras/{name}.npz" for name in keras}
    assert set(catalogue.WEIGHTS.values()) <= provided


@pytest.mark.parametrize("name", ["inception_v3", "densenet121", "convnext_tiny", "xception"])
def test_below_the_least_side_a_backbone_cannot_be_built(name):
    side = catalogue.min_side(name)
    assert build(name, side).pooled.output_shape[-1] > 0
    with pytest.raises(ValueError, match="output size would be zero or negative"):
        # Keras's own message, for a side that is clearly too small.
        build(name, side // 2)


def build(name, side):
    config = backbones.ClassifierConfig((side, 256), (side, 256), n_classes=2)
    return backbones.build(backbones.find(name), config)


def test_other_backbones_take_any_side():
    assert catalogue.min_side("efficientnet_lite0") == 1
