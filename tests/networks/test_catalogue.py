from pathlib import Path

import numpy as np
import pytest
import yaml

from stages.networks import runtime
from stages.networks.catalogue import CLASS_NAMES, COCO, DETECTORS, SEGMENTERS, VOC
from stages.networks.settings import InferenceSettings

ROOT = Path(__file__).resolve().parents[2]


def test_the_file_is_found_under_the_name_that_dvc_depends_on():
    for name, spec in {**DETECTORS, **SEGMENTERS}.items():
        assert spec.file == f"{name}.onnx"


def test_every_network_of_gluoncv_has_a_stage_that_exports_it():
    text = (ROOT / "models/pretrained/gluoncv/dvc.yaml").read_text(encoding="utf-8")
    exported = yaml.safe_load(text)["stages"]["export"]["foreach"]
    listed = [name for name in {**DETECTORS, **SEGMENTERS} if name.startswith("gluoncv/")]
    assert sorted(f"gluoncv/{name}" for name in exported) == sorted(listed)


def test_classes_are_counted_as_the_data_sets_count_them():
    assert len(COCO) == len(set(COCO)) == 80 and len(VOC) == len(set(VOC)) == 20
    assert [COCO.index(name) for name in ("car", "bus", "truck")] == [2, 5, 7] and COCO[79] == "toothbrush"
    assert [VOC.index(name) for name in ("bus", "car")] == [5, 6] and VOC[14] == "person"
    assert set(CLASS_NAMES) == {*COCO, *VOC} and list(CLASS_NAMES) == sorted(CLASS_NAMES)


@pytest.mark.parametrize("name", DETECTORS)
def test_each_detector_knows_cars_and_buses_and_trucks_where_its_data_do(name):
    missing = {"car", "bus", "truck"} - set(DETECTORS[name].classes)
    assert missing == ({"truck"} if name.endswith("_voc") else set())


def test_the_strides_divide_the_inputs():
    assert all(spec.size % spec.stride == 0 for spec in DETECTORS.values())


@pytest.mark.parametrize("name", DETECTORS)
def test_both_engines_find_the_same_sizes_in_f32(name):
    spec = DETECTORS[name]
    path = Path(__file__).resolve().parents[2] / "models" / "pretrained" / spec.file
    if not path.is_file():
        pytest.skip(f"needs models/pretrained/{spec.file}: run `dvc repro models/pretrained/dvc.yaml`")
    # A whole square, and where padding is cut off a part of it in the same batch.
    rows = [spec.size] if spec.cell is None else [spec.size, spec.size - 2 * spec.cell]
    noise = [np.random.default_rng(0).integers(0, 256, (n, spec.size, 3)).astype(np.float32) for n in rows]
    heads, expected = (
        list(
            runtime.load(path, list(spec.outputs), InferenceSettings(batch_size=1, engine=engine, precision="f32"))(
                noise
            )
        )
        for engine in ("openvino", "onnxruntime")
    )
    for n, (heat, extents), (expected_heat, expected_extents) in zip(rows, heads, expected, strict=True):
        assert heat.shape[0] == n // spec.stride
        assert np.abs(heat - expected_heat).max() < 1e-5
        assert np.abs(extents - expected_extents).max() < 0.01
