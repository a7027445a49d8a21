from pathlib import Path

import pytest
import yaml

from stages import check
from stages.core.runtime_settings import RuntimeSettings
from stages.core.settings import SettingsError

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"


@pytest.fixture
def changed(tmp_path):
    """A function that writes the project's params.yaml with a change, and returns the path."""

    def write(change):
        content = yaml.safe_load(PARAMS.read_text("utf-8"))
        change(content)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), "utf-8")
        return tmp_path / "params.yaml"

    return write


def test_the_parameters_of_the_project_are_valid_and_every_section_is_known():
    content = yaml.safe_load(PARAMS.read_text("utf-8"))
    assert check.check_sections(PARAMS) == len(content["models"]) > 0
    assert set(content) == {*check.SECTIONS, *check.NAMED}


def set_to(section, key, value):
    return lambda content: content[section].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda c: c.__setitem__("trian", c.pop("train")), ("`train`",)),
        (lambda c: c.__setitem__("extra", {}), ("unknown section `extra`", "resize")),
        (lambda c: c.pop("models"), ("models", "at least one")),
        (lambda c: c.__setitem__("models", {}), ("models", "at least one")),
        (lambda c: c.__setitem__("models", ["lite0"]), ("models", "at least one")),
        (lambda c: c["models"].__setitem__("x", {"backbon": "a"}), ("models.x.backbon", "`backbone`")),
        (set_to("ingest", "vall_share", 0.1), ("ingest.vall_share", "`val_share`")),
        (set_to("ingest", "val_share", 1.5), ("ingest.val_share", "0..1", "1.5")),
        (set_to("ingest", "val_share", 0.9), ("ingest.val_share", "below 1")),
        (set_to("ingest", "near_duplicate_bits", 17), ("ingest.near_duplicate_bits", "0..16")),
        (set_to("detect", "network", "yolo"), ("detect.network", "centernet_mobilenetv3", "'yolo'")),
        (set_to("crop", "classes", ["Car"]), ("crop.classes", "car", "'Car'")),
        (set_to("mask", "weights", {"u2netp": 1}), ("mask.weights", "`u2netp_flipped`")),
        (set_to("mask", "weights", {}), ("mask.weights", "one or more")),
        (set_to("segmenters", "more", {"network": "unet"}), ("segmenters.more.network", "u2netp", "'unet'")),
        (lambda c: c.pop("segmenters"), ("segmenters", "at least one")),
        (set_to("crop", "classes", []), ("crop.classes", "one or more")),
        (set_to("probe", "folds", 1), ("probe.folds", "2 or more")),
        (set_to("probe", "l2", [0.0]), ("probe.l2[0]",)),
        (set_to("audit", "max_probability", 2), ("audit.max_probability", "0..1")),
        (set_to("crop", "margin", "5%"), ("crop.margin", "a number", "'5%'")),
        (set_to("resize", "fill", [127, 127]), ("resize.fill", "3 values")),
        (set_to("resize", "fill", [127, 127, 256]), ("resize.fill[2]", "0..255")),
        (set_to("train", "learning_rate", "0.1"), ("train.learning_rate", "write 0.1 without quotes")),
        (
            set_to("segment", "inference", {"batch_size": 0, "engine": "auto", "precision": "auto"}),
            ("segment.inference.batch_size",),
        ),
    ],
)
def test_an_invalid_parameter_is_an_error_that_names_it(changed, change, parts):
    with pytest.raises(SettingsError) as caught:
        check.check_sections(changed(change))
    for part in parts:
        assert part in str(caught.value)


def test_the_output_is_the_same_for_all_parameters(tmp_path, changed, run):
    outputs = []
    for epochs in (1, 2):
        run(check, params=changed(set_to("train", "epochs", epochs)), out=tmp_path / "checked")
        outputs.append((tmp_path / "checked").read_bytes())
    assert outputs[0] == outputs[1] != b""


CPU = {"features": ["avx2", "avx512f", "avx512_bf16"]}


@pytest.mark.parametrize(
    ("runtime", "cpu", "n_cores", "expected"),
    [
        ({}, CPU, 2, "would use AVX-512, bf16: faster"),
        ({}, CPU, 16, "AVX-512, bf16, 16 cores in place of 2 for training: faster"),
        ({"threads": 8}, {"features": ["avx2"]}, 16, "would use 16 cores in place of 8"),
        ({}, {"features": ["avx2"]}, 2, ""),
        ({"reproducibility": "metrics"}, CPU, 16, ""),
    ],
)
def test_hardware_that_bits_leaves_unused_is_named(runtime, cpu, n_cores, expected):
    hint = check.unused_hardware(RuntimeSettings(**runtime), cpu, n_cores)
    assert expected in hint and bool(hint) == bool(expected)
