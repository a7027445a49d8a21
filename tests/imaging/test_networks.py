from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

from stages.imaging import runtime
from stages.imaging.detection import DetectParams
from stages.imaging.networks import DETECTORS, SEGMENTERS
from stages.imaging.runtime import RuntimeParams


def test_parameters_name_exactly_the_networks_there_are():
    assert set(get_args(get_type_hints(DetectParams)["network"])) == set(DETECTORS)


def test_the_file_is_found_under_the_name_that_dvc_depends_on():
    for name, spec in {**DETECTORS, **SEGMENTERS}.items():
        assert spec.file == f"{name}.onnx"


def test_the_strides_divide_the_inputs():
    assert all(spec.size % spec.stride == 0 for spec in DETECTORS.values())


@pytest.mark.parametrize("name", DETECTORS)
def test_both_engines_find_the_same_sizes_in_f32(name):
    spec = DETECTORS[name]
    path = Path(__file__).resolve().parents[2] / "models" / "pretrained" / spec.file
    if not path.is_file():
        pytest.skip(f"needs models/pretrained/{spec.file}: run `dvc repro models/pretrained/dvc.yaml`")
    noise = np.random.default_rng(0).integers(0, 256, (1, spec.size, spec.size, 3)).astype(np.float32)
    found, expected = (
        runtime.load(path, list(spec.outputs), RuntimeParams(1, engine, "f32"))(noise)
        for engine in ("openvino", "onnxruntime")
    )
    assert np.abs(found[0] - expected[0]).max() < 1e-5
    assert np.abs(found[1] - expected[1]).max() < 0.01
