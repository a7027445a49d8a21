import pytest
from pydantic import BaseModel

from stages.core import settings
from stages.core.settings import SettingsError
from tests.core import sample_settings as sample


def read(tmp_path, text, section="train", model=sample.TrainSettings):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return settings.read(path, section, model)


def refused(tmp_path, text, message, section="train", model=sample.TrainSettings):
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text, section, model)
    assert str(caught.value).startswith(f"{tmp_path / 'params.yaml'}: {message}")


def test_training_settings_of_the_sample_hold_together(tmp_path):
    text = "train: {unfreeze: [{epochs: 4, frozen_share: 0.8, input_px: 128}, {epochs: 6, learning_rate: 3e-4}]}"
    train = read(tmp_path, text)
    assert [phase.epochs for phase in train.phases()] == [4, 6]
    assert train.phases()[1].learning_rate == 3e-4
    assert sample.TrainSettings(epochs=3).phases() == (sample.Phase(epochs=3),)
    bad = text.replace("input_px: 128", "input_px: 16")
    refused(
        tmp_path, bad, "train.unfreeze[0].input_px: expected a whole number, 32 or more", model=sample.TrainSettings
    )


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("detect", ("mobilenetv3", "mobilenetv9"), "detect.network: expected one of centernet_mobilenetv3, "),
        (
            "crop",
            ("[car]", "[]"),
            "crop.classes: expected a list of one or more, each entry text, found [] (list of 0)",
        ),
        ("crop", ("[car]", "[car, lorry]"), "crop.classes: expected names of aeroplane, airplane, apple"),
        ("crop", ("mode: box", "mode: car"), "crop.mode: expected one of 'box', 'full_image', found 'car' (text)"),
        ("mask", ("min_coverage: 0", "min_coverage: 1"), "mask.min_coverage: expected at most max_coverage = 0.9"),
        ("mask", ("{a: 1}", "{a: 0}"), "mask.weights: expected one above 0 or more, found"),
        ("ensemble", ("shrinkage: auto", "shrinkage: 1.5"), "ensemble.shrinkage: expected 'auto' or a number in 0..1"),
    ],
)
def test_the_sections_of_the_sample_refuse_what_cannot_be_met(tmp_path, section, change, message):
    text = (
        "detect: {network: centernet_mobilenetv3, min_score: 0.05, max_boxes: 100, "
        "inference: {batch_size: 16, engine: auto, precision: f32}}\n"
        "crop: {mode: box, classes: [car], min_score: 0.1, min_area: 0.01, min_aspect: 0.9, max_aspect: 4.5, "
        "max_runner_up_ratio: 0.9, margin: 0.15, on_no_box: full_image, max_side: 1024}\n"
        "mask: {weights: {a: 1}, min_region: 0.1, min_agreement: 0.5, min_coverage: 0, max_coverage: 0.9}\n"
        "ensemble: {shrinkage: auto}\n"
    )
    assert read(tmp_path, text, section, sample.SECTIONS[section])
    assert change[0] in text
    refused(tmp_path, text.replace(*change), message, section=section, model=sample.SECTIONS[section])


def test_all_models_are_strict_and_frozen():
    assert all(issubclass(model, BaseModel) and model.model_config["strict"] for model in sample.SECTIONS.values())
