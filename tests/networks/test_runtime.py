import sys
from importlib.util import find_spec

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import stages
from stages.core.errors import UserError
from stages.networks import runtime
from stages.networks.settings import InferenceSettings

ENGINES = ["openvino", "onnxruntime"]
# Rows to columns: y = x W, z = max(x, 0) + x
WEIGHTS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A network of two outputs with a free batch dimension: y (N, 2) and z (N, 3) of x (N, 3)."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Relu", ["x"], ["positive"]),
        helper.make_node("Add", ["positive", "x"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes, "graph", [value("x", TensorProto.FLOAT, ("n", 3))],
        [value("y", TensorProto.FLOAT, ("n", 2)), value("z", TensorProto.FLOAT, ("n", 3))],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("networks") / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def load(path, engine, outputs=("y", "z")):
    return runtime.load(path, list(outputs), InferenceSettings(batch_size=4, engine=engine, precision="f32"))


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_come_in_the_order_given(path, engine):
    batch = np.array([[1, 0, 0], [0, -1, 2]], np.float32)
    before = batch.copy()
    (z, y), (other_z, other_y) = load(path, engine, ("z", "y"))(batch)
    assert [y.tolist(), other_y.tolist()] == [[1, 2], [7, 8]]
    assert [z.tolist(), other_z.tolist()] == [[2, 0, 0], [0, -1, 4]]
    (only,), (other,) = load(path, engine, ("z",))(batch)
    assert only.tolist() == z.tolist() and other.tolist() == other_z.tolist() and only.dtype == np.float32
    np.testing.assert_array_equal(batch, before)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_result_depends_on_neither_its_place_nor_its_company(path, engine):
    network = load(path, engine)
    batch = np.random.default_rng(0).standard_normal((37, 3)).astype(np.float32)
    together = np.array([y for y, _ in network(batch)])
    order = np.random.default_rng(1).permutation(37)
    np.testing.assert_array_equal([y for y, _ in network(batch[order])], together[order])
    for place in (0, 17, 36):
        ((y, _),) = network(batch[place : place + 1])
        np.testing.assert_array_equal(y, together[place])
    np.testing.assert_array_equal([y for y, _ in network(batch)], together)


@pytest.mark.parametrize("engine", ENGINES)
def test_images_are_taken_as_the_network_comes_to_them(path, engine):
    taken = []

    def images():
        for number in range(100):
            taken.append(number)
            yield np.full(3, number, np.float32)

    outputs = load(path, engine)(images())
    for number, (_, z) in zip(range(10), outputs):
        assert z.tolist() == [2 * number] * 3
    assert 10 <= len(taken) < 100
    outputs.close()
    assert len(taken) < 100


@pytest.mark.parametrize("engine", ENGINES)
def test_calls_that_overlap_do_not_disturb_each_other(path, engine):
    network = load(path, engine)
    rows = [np.full((9, 3), sign, np.float32) * np.arange(9, dtype=np.float32)[:, None] for sign in (1, 3)]
    for number, ((_, first), (_, second)) in enumerate(zip(*map(network, rows), strict=True)):
        assert first.tolist() == [2 * number] * 3 and second.tolist() == [6 * number] * 3


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_while_images_are_made_comes_through(path, engine):
    network = load(path, engine)

    def images():
        yield np.zeros(3, np.float32)
        raise UserError("no photo")

    with pytest.raises(UserError, match="no photo"):
        list(network(images()))
    assert len(list(network(np.zeros((5, 3), np.float32)))) == 5
    assert list(network([])) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_each_item_comes_with_its_outputs(path, engine):
    items = [("a", 1), ("b", 5), ("c", 2), ("d", 7), ("e", 0), ("f", 3)]
    found = runtime.run_each(load(path, engine, ("z",)), items, lambda item: np.full(3, item[1], np.float32))
    assert [(item, z.tolist()) for item, (z,) in found] == [(item, [2 * item[1]] * 3) for item in items]


@pytest.mark.parametrize("engine", ENGINES)
def test_bytes_are_taken_as_numbers(path, engine):
    ((y, _),) = load(path, engine)(np.array([[255, 0, 1]], np.uint8)[:, ::-1])
    assert y.tolist() == [1 + 255 * 5, 2 + 255 * 6]


def test_both_engines_agree(path):
    batch = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32)
    for ours, others in zip(load(path, "openvino")(batch), load(path, "onnxruntime")(batch), strict=True):
        for one, other in zip(ours, others, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_results_of_one_call_survive_the_next(path, engine):
    network = load(path, engine)
    first = [y for y, _ in network(np.ones((2, 3), np.float32))]
    kept = np.array(first)
    list(network(np.zeros((2, 3), np.float32)))
    np.testing.assert_array_equal(first, kept)


def test_a_missing_network_is_refused_by_name_with_what_makes_it(tmp_path):
    with pytest.raises(UserError, match=r"none\.onnx.*dvc repro"):
        load(tmp_path / "none.onnx", "auto")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_cut_file_is_an_error_that_names_the_command(tmp_path, path, engine, share):
    content = path.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        UserError, match=r"cut\.onnx: expected an ONNX network, found: .*; delete it and run `dvc repro"
    ):
        load(tmp_path / "cut.onnx", engine)


def without(monkeypatch, package):
    monkeypatch.setattr(runtime, "find_spec", lambda name: None if name == package else find_spec(name))


@pytest.mark.parametrize(("missing", "other"), [("openvino", "onnxruntime"), ("onnxruntime", "openvino")])
def test_one_engine_is_enough(monkeypatch, missing, other):
    without(monkeypatch, missing)
    monkeypatch.setitem(sys.modules, missing, None)
    assert runtime.resolve_engine("auto") == runtime.resolve_engine(other) == other
    with pytest.raises(
        runtime.EngineError, match=f"expected the package {missing}, found none; install it, or set auto"
    ):
        runtime.resolve_engine(missing)
    settings = InferenceSettings(batch_size=1, engine="auto", precision="f32")
    described = runtime.describe_runtime(settings)
    assert described["engine"] == other and missing not in described and described["device"]


def test_auto_takes_what_the_machine_has(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert runtime.resolve_engine("auto") == "openvino" and runtime.resolve_engine("onnxruntime") == "onnxruntime"
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    assert runtime.resolve_engine("auto") == "onnxruntime" and runtime.resolve_engine("openvino") == "openvino"
    monkeypatch.setattr(stages, "reproducibility", lambda: stages.BITS)
    assert runtime.resolve_precision("auto") == "f32"
    monkeypatch.setattr(stages, "reproducibility", lambda: stages.METRICS)
    assert runtime.resolve_precision("auto") in ("f32", "bf16")
    assert [runtime.resolve_precision(name) for name in ("f32", "bf16")] == ["f32", "bf16"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("side", [6, 9])
def test_an_image_network_takes_another_side_than_that_of_its_file(tmp_path, engine, side):
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", 1, 4, 4)) for name in "xy"]
    # A sum over 3 x 3 neighbours, so that a border in the wrong place changes it.
    kernel = numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "graph", shapes[:1], shapes[1:], [kernel])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "n.onnx")
    batch = np.zeros((2, 1, side, side), np.float32)
    batch[1, 0, 0, side - 1] = 5  # the upper right corner
    output = [y for (y,) in load(tmp_path / "n.onnx", engine, ["y"])(batch)]
    expected = np.zeros((2, 1, side, side), np.float32)
    expected[1, 0, :2, side - 2 :] = 5
    np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_images_of_several_sizes_in_one_batch_each_get_their_own_output(tmp_path, engine):
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", 1, 4, 4)) for name in "xy"]
    kernel = numpy_helper.from_array(np.array([[[[0, 0, 1]]]], np.float32), "w")  # the right neighbour
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[0, 1, 0, 1])
    graph = helper.make_graph([node], "graph", shapes[:1], shapes[1:], [kernel])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "n.onnx")
    sizes = [(2, 3), (4, 4), (2, 3), (3, 2), (4, 4)]
    batch = [(40 * n + np.arange(h * w)).astype(np.uint8).reshape(1, h, w) for n, (h, w) in enumerate(sizes)]
    outputs = [y for (y,) in load(tmp_path / "n.onnx", engine, ["y"])(batch)]
    assert [output.shape[1:] for output in outputs] == sizes
    for image, output in zip(batch, outputs):
        np.testing.assert_array_equal(output[0, :, :-1], image[0, :, 1:])
        assert (output[0, :, -1] == 0).all()


def describe(engine):
    return runtime.describe_runtime(InferenceSettings(batch_size=1, engine=engine, precision="f32"))


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """A function that puts a played `nvidia-smi` first on the path; ONNX Runtime has CUDA."""

    def play(script):
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*CUDA, "CPUExecutionProvider"])
    return play


CUDA = ["CUDAExecutionProvider"]


def test_an_nvidia_card_is_named_by_its_own_name(nvidia_smi):
    nvidia_smi('test "$*" = "--query-gpu=name --format=csv,noheader" && echo "NVIDIA A10"')
    assert describe("auto")["device"] == describe("onnxruntime")["device"] == "NVIDIA A10"
    nvidia_smi('echo "NVIDIA A10"; echo "NVIDIA A10"')
    assert describe("onnxruntime")["device"] == "NVIDIA A10"
    # OpenVINO runs on the CPU whatever cards there are.
    assert "NVIDIA" not in describe("openvino")["device"]


def test_of_different_cards_all_are_named_with_those_that_may_be_used(nvidia_smi, monkeypatch):
    nvidia_smi('echo "NVIDIA A10"; echo "Tesla T4"')
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert describe("onnxruntime")["device"] == "NVIDIA A10, Tesla T4; CUDA_VISIBLE_DEVICES=1"


@pytest.mark.parametrize(
    ("script", "problem"),
    [("echo 'Driver/library version mismatch' >&2; exit 9", "found 9: Driver"), ("true", "no card")],
)
def test_a_card_that_cannot_be_named_is_an_error_with_advice(nvidia_smi, script, problem):
    nvidia_smi(script)
    with pytest.raises(runtime.DeviceError, match=rf"nvidia-smi.*expected the name.*found:.*{problem}.*`openvino`"):
        describe("onnxruntime")


def test_without_nvidia_smi_the_card_cannot_be_named(nvidia_smi, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(runtime.DeviceError, match="nvidia-smi: expected this program on the path, found none"):
        describe("onnxruntime")
    assert nvidia_smi


def test_without_cuda_the_device_is_the_cpu(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert describe("onnxruntime")["device"] == describe("openvino")["device"] != ""
    assert describe("onnxruntime")["onnxruntime"] == onnxruntime.__version__
