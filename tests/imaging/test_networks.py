from typing import get_args, get_type_hints

from stages.imaging.detection import DetectParams
from stages.imaging.networks import DETECTORS, SEGMENTERS


def test_parameters_name_exactly_the_networks_there_are():
    assert set(get_args(get_type_hints(DetectParams)["network"])) == set(DETECTORS)


def test_the_file_is_found_under_the_name_that_dvc_depends_on():
    for name, spec in {**DETECTORS, **SEGMENTERS}.items():
        assert spec.file == f"{name}.onnx"


def test_the_strides_divide_the_inputs():
    assert all(spec.size % spec.stride == 0 for spec in DETECTORS.values())
