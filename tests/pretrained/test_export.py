import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

from stages.detect import centernet
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS
from stages.networks.settings import InferenceSettings
from stages.pretrained import export

PYTHON = Path(__file__).resolve().parents[2] / ".venv-gluoncv" / "bin" / "python"
NAME = "center_net_resnet18_v1b_voc"
# A network with random weights and bounded activations.
RANDOM = """
import sys
from stages.pretrained.gluoncv import gluoncv_to_onnx
import mxnet as mx, numpy as np
name, folder, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
mx.random.seed(0)
net = gluoncv_to_onnx.build(name, size)
net.initialize(mx.init.Xavier(), force_reinit=True)
for _ in range(12):
    with mx.autograd.record():
        outputs = net(mx.nd.random.normal(shape=(2, 3, 64, 64)))
    mx.autograd.backward(outputs)  # Only this updates the moving averages of batch normalisation.
mx.nd.waitall()
"""
# Heads for boxes of different sizes, and the detections of mxnet in noise.
DETECTOR = """
for layer in (layer for head in net.heads for layer in (head[0], head[-1])):
    layer.weight.set_data(mx.nd.random.normal(scale=0.5, shape=layer.weight.shape))
net.heads[1][-1].bias.set_data(mx.nd.array([30, 20]))
net.save_parameters(f"{folder}/{name}.params")
photo = np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.float32)
inputs = (photo / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
classes, scores, boxes = (out[0].asnumpy() for out in net(mx.nd.array(inputs.transpose(0, 3, 1, 2))))
np.savez(f"{folder}/expected.npz", photo=photo, classes=classes, scores=scores, boxes=boxes)
"""
# Classes that differ between pixels, and the probability of bus and car, numbers 6 and 7, by mxnet.
SEGMENTER = """
last = net.head.block[-1].weight
last.set_data(last.data() * 3)
net.save_parameters(f"{folder}/{name}.params")
inputs = mx.nd.random.normal(shape=(2, 3, size, size))
maps = net.predict(inputs).softmax(axis=1).asnumpy()[:, 6:8].sum(axis=1)
np.savez(f"{folder}/expected.npz", inputs=inputs.asnumpy(), maps=maps)
"""


def make_random(folder, name, size, script):
    """Write the weights and outputs of a random GluonCV network into `folder`, and export it to `net.onnx`."""
    if not PYTHON.is_file():
        pytest.skip("needs .venv-gluoncv, which `python -m stages pretrained.export` creates")
    subprocess.run([PYTHON, "-c", RANDOM + script, name, folder, str(size)], cwd=PYTHON.parents[2], check=True)
    export.export(f"gluoncv/{name}", size, folder, PYTHON, folder / "net.onnx")
    return folder


def test_a_failed_export_writes_no_network(tmp_path):
    with pytest.raises(export.ExportError, match=f"gluoncv/{NAME}: .*expected exit status 0, found 1"):
        export.export(f"gluoncv/{NAME}", 512, tmp_path, Path("false"), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with a random CenterNet as `net.onnx`, and the detections of mxnet."""
    return make_random(tmp_path_factory.mktemp("gluoncv"), NAME, 512, DETECTOR)


def test_a_second_export_has_the_same_bytes_and_only_the_photo_as_input(exported):
    export.export(f"gluoncv/{NAME}", 512, exported, PYTHON, exported / "again.onnx")
    assert (exported / "again.onnx").read_bytes() == (exported / "net.onnx").read_bytes()
    model = onnx.load(exported / "net.onnx")
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.input] == ["photo"] and model.opset_import[0].version == 13
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_boxes_equal_those_of_mxnet(exported, engine):
    spec = DETECTORS[f"gluoncv/{NAME}"]
    network = runtime.load(
        exported / "net.onnx", list(spec.outputs), InferenceSettings(batch_size=1, engine=engine, precision="f32")
    )
    expected = np.load(exported / "expected.npz")
    ((heatmap, extents),) = network(expected["photo"])
    assert heatmap.shape == (128, 128, 20) and extents.shape == (128, 128, 4)
    objects = centernet.decode(heatmap, extents, spec.stride, 200, 0.0)
    for number, score, box in zip(expected["classes"], expected["scores"], expected["boxes"]):
        distance = np.abs(objects.boxes - box).max(axis=1) + 1000 * (objects.classes != number)
        assert distance.min() < 0.01 and abs(objects.scores[distance.argmin()] - score) < 1e-3
    widths = expected["boxes"][:, 2] - expected["boxes"][:, 0]
    assert np.ptp(expected["boxes"][:, 0]) > 100 and widths.min() > 4 and np.ptp(widths) > 4


@pytest.mark.parametrize("name", ["fcn_resnet50_voc", "deeplab_resnet101_voc"])
def test_maps_equal_those_of_mxnet(tmp_path, name):
    make_random(tmp_path, name, 64, SEGMENTER)
    expected = np.load(tmp_path / "expected.npz")
    for engine in ("openvino", "onnxruntime"):
        maps = runtime.load(
            tmp_path / "net.onnx", ["mask"], InferenceSettings(batch_size=2, engine=engine, precision="f32")
        )(expected["inputs"])
        np.testing.assert_allclose([one[0] for (one,) in maps], expected["maps"], atol=1e-4)
    assert np.ptp(expected["maps"]) > 0.05
