"""8-bit convolutions: numbers by hand, and graphs that compute what they did."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from stages.commands import calibrate
from stages.core.archive import writing
from stages.core.errors import UserError
from stages.core.result_cache import digest_of
from stages.images import images
from stages.networks import runtime
from stages.networks.catalogue import SEGMENTERS
from stages.networks.settings import InferenceSettings
from stages.pretrained import calibration, quantization, quantize
from stages.pretrained.calibration import Calibration
from stages.pretrained.quantization import Offset
from stages.sample.renderer import sample
from stages.sample.renderer.sample import RenderTask
from stages.sample.settings import SampleSettings
from stages.segment import segmenter
from stages.segment.settings import SegmenterSettings
from tests.small_project import ROOT

RANDOM = np.random.default_rng(1)


def network(nodes, weights, channels=2, opset=17):
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", channels, "h", "w"))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", "c", "oh", "ow"))],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def outputs(model, image):
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": np.asarray(image, np.float32)})[0]


def pointwise(weights, channels):
    return network([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": weights}, channels)


def test_numbers_by_hand():
    # Steps of 10 / 255 from 0 to 10; weights of the two outputs in steps of 6.3 / 63 = 0.1 and 1.26 / 63 = 0.02.
    model = pointwise([[[[6.3]], [[-0.14]]], [[[1.26]], [[0.01]]]], 2)
    found = outputs(quantization.quantize(model, {"x": (0.0, 10.0)}), [[[[4.01]], [[12.0]]]])[0, :, 0, 0]
    four = round(4.01 / (10 / 255)) * 10 / 255
    # 12 lies beyond the range, so it is 10; -0.14 is -0.1; half a step, 0.01, is rounded to the even number of steps.
    assert found.tolist() == pytest.approx([6.3 * four - 0.1 * 10, 1.26 * four], rel=1e-5)


def test_zero_is_kept_and_so_is_what_has_no_range():
    model = pointwise([[[[1.0]]]], 1)
    for low, high in ((-3.0, 1.0), (2.0, 5.0), (-5.0, -2.0), (0.0, 0.0)):
        assert outputs(quantization.quantize(model, {"x": (low, high)}), [[[[0.0]]]]).item() == 0
    assert quantization.quantize(model, {"another": (0, 1)}) == model


def test_weights_leave_room_for_the_sum_of_two_products():
    weights = RANDOM.normal(size=(3, 4, 3, 3))
    weights[1] = 0
    made = quantization.quantize(
        network([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": weights}, 4), {"x": (0, 1)}
    )
    numbers = next(numpy_helper.to_array(one) for one in made.graph.initializer if one.name == "w_number")
    # 255 x 63 x 2 is less than 2 ** 15.
    assert np.abs(numbers).max(axis=(1, 2, 3)).tolist() == [63, 0, 63] and numbers.dtype == np.int8


def test_a_tensor_of_two_readers_is_quantised_once():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Conv", ["x", "w"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    made = quantization.quantize(network(nodes, {"w": [[[[1.0]]]]}, 1), {"x": (0.0, 255.0)})
    assert [node.op_type for node in made.graph.node].count("QuantizeLinear") == 1
    assert outputs(made, [[[[7.0]]]]).item() == pytest.approx(14)


def chain(pads):
    """Two channels of `x`; channel 1 of the first convolution is large everywhere, and passes on by many ways."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["first"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["first"], ["active"]),
        helper.make_node("MaxPool", ["active"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["small", "", "scales"], ["large"], mode="linear"),
        helper.make_node("Concat", ["x", "large"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w2"], ["y"], pads=pads, dilations=[2, 1]),
    ]
    weights = {
        "w1": RANDOM.normal(size=(3, 2, 3, 3)),
        "b1": [0.5, 200, -1],
        "scales": [1, 1, 2, 2],
        "w2": RANDOM.normal(size=(4, 5, 3, 3)),
    }
    return network(nodes, weights)


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [2, 1, 2, 1], [4, 0, 1, 3]])
def test_absorbed_offsets_change_no_result_also_at_borders(pads):
    model, image = chain(pads), RANDOM.normal(size=(1, 2, 10, 14))
    absorbed = quantization.absorb_offsets(model, [Offset("first", 1, 150.0), Offset("first", 0, 0.0)])
    before, after = outputs(model, image), outputs(absorbed, image)
    assert np.abs(before).max() > 200
    np.testing.assert_allclose(after, before, atol=2e-3)
    # Another size.
    np.testing.assert_allclose(outputs(absorbed, image[..., :6, :8]), outputs(model, image[..., :6, :8]), atol=2e-3)


def test_an_offset_in_the_way_of_another_one():
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["first"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["first", "w2", "b2"], ["second"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["second", "w3"], ["y"], pads=[1, 1, 1, 1]),
    ]
    weights = {"w1": RANDOM.normal(size=(2, 2, 3, 3)), "b1": [90, 0], "w2": RANDOM.normal(size=(2, 2, 3, 3))}
    model = network(nodes, weights | {"b2": [0, 300], "w3": RANDOM.normal(size=(1, 2, 3, 3))})
    image = RANDOM.normal(size=(1, 2, 5, 7))
    absorbed = quantization.absorb_offsets(model, [Offset("first", 0, 90.0), Offset("second", 1, 300.0)])
    np.testing.assert_allclose(outputs(absorbed, image), outputs(model, image), atol=2e-2)


def test_a_channel_that_a_convolution_reads_twice():
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["first"], pads=[1, 1, 1, 1]),
        helper.make_node("Concat", ["first", "x", "first"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w2"], ["y"], pads=[1, 1, 1, 1]),
    ]
    weights = {"w1": RANDOM.normal(size=(2, 2, 3, 3)), "b1": [0, 90], "w2": RANDOM.normal(size=(3, 6, 3, 3))}
    model, image = network(nodes, weights), RANDOM.normal(size=(1, 2, 5, 7))
    absorbed = quantization.absorb_offsets(model, [Offset("first", 1, 80.0)])
    np.testing.assert_allclose(outputs(absorbed, image), outputs(model, image), atol=2e-3)


def test_a_channel_that_something_else_reads_is_refused():
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Sigmoid", ["a"], ["y"])]
    with pytest.raises(ValueError, match="expected convolutions to read channel 0, found Sigmoid"):
        quantization.absorb_offsets(network(nodes, {"w": [[[[1.0]]]]}, 1), [Offset("a", 0, 1.0)])
    with pytest.raises(ValueError, match="y: expected an inner tensor, found an output of the network"):
        quantization.absorb_offsets(pointwise([[[[1.0]]]], 1), [Offset("y", 0, 1.0)])
    assert not quantization.is_absorbable(pointwise([[[[1.0]]]], 1), Offset("y", 0, 1.0))
    with pytest.raises(ValueError, match="x: expected the output of a convolution"):
        quantization.absorb_offsets(network(nodes, {"w": [[[[1.0]]]]}, 1), [Offset("x", 0, 1.0)])


def test_old_graphs_get_the_operators_that_they_need():
    old = network([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": [[[[1.0]]]]}, 1, opset=11)
    assert quantization.with_opset(old).opset_import[0].version == 13
    new = pointwise([[[[1.0]]]], 1)
    assert quantization.with_opset(new) == new


def test_a_channel_dominates_that_is_twice_the_others_everywhere():
    extremes = {
        "a": (np.array([1.0, 50.0, 3.0]), np.array([20.0, 60.0, 24.9])),
        "nearly": (np.array([1.0, 50.0, 3.0]), np.array([20.0, 60.0, 25.1])),
        "alone": (np.array([9.0]), np.array([9.0])),
        "low": (np.array([-9.0, -1.0]), np.array([-8.0, -0.5])),
    }
    assert calibrate.find_offsets(extremes) == [Offset("a", 1, 49.5)]


def test_ranges_are_those_once_offsets_are_absorbed():
    model = chain([0, 0, 0, 0])
    images_ = [RANDOM.normal(size=(1, 2, 10, 14)).astype(np.float32) for _ in range(3)]
    offsets, ranges = calibrate.measure(model, images_)
    (offset,) = offsets
    assert (offset.tensor, offset.channel) == ("first", 1) and 150 < offset.value < 200
    assert set(ranges) == {"x", "both"}
    assert ranges["x"] == pytest.approx((min(i.min() for i in images_), max(i.max() for i in images_)), rel=1e-3)
    # Before, it was above 200.
    assert ranges["both"][1] < 60


@pytest.fixture
def files(tmp_path):
    """A network and its ranges."""
    source, ranges = tmp_path / "net.onnx", tmp_path / "net.json"
    onnx.save(pointwise([[[[2.0]]]], 1), source)
    calibration.write(ranges, Calibration(digest_of([source]), 1, [], {"x": (0.0, 255.0)}))
    return source, ranges, tmp_path / "net_int8.onnx"


def test_the_command_writes_the_same_bytes_again_and_says_how_many(files, run, capsys):
    source, ranges, out = files
    written = []
    for _ in range(2):
        run(quantize, source=source, calibration=ranges, out=out)
        written.append(out.read_bytes())
    assert written[0] == written[1] and outputs(onnx.load(out), [[[[7.0]]]]).item() == pytest.approx(14)
    assert "1 convolutions of 8 bits" in capsys.readouterr().out


def test_ranges_of_another_network_are_refused(files, run):
    source, ranges, out = files
    onnx.save(pointwise([[[[3.0]]]], 1), source)
    with pytest.raises(UserError, match=r"net\.json: expected ranges of .*net\.onnx with the SHA-256 "):
        run(quantize, source=source, calibration=ranges, out=out)
    assert not out.exists()


@pytest.mark.parametrize(
    "change",
    [{"offsets": [{"tensor": "x"}]}, {"ranges": {"x": [1]}}, {"ranges": []}, {"offsets": None}, {"n_images": "many"}],
)
def test_a_damaged_calibration_is_one_line(files, change):
    _, ranges, _ = files
    ranges.write_text(json.dumps(json.loads(ranges.read_text()) | change))
    with pytest.raises(UserError, match=r"net\.json: expected offsets and ranges of tensors, found .*calibrate"):
        calibration.read(ranges)


def rendered(number):
    settings = SampleSettings(seed=5, photos_per_class=1, width=320, height=200, jpeg_quality=92)
    return images.decode(sample.make(RenderTask("van", number, None), settings).photo)


def test_calibration_of_rendered_crops_and_too_few(tmp_path, run):
    networks = tmp_path / "networks"
    networks.mkdir()
    spec = SEGMENTERS["u2netp"]
    nodes = [helper.make_node("Conv", ["x", "w"], [spec.output])]
    model = network(nodes, {"w": RANDOM.normal(size=(1, 3, 1, 1))}, 3)
    model.graph.output[0].name = spec.output
    onnx.save(model, networks / spec.file)
    with writing(tmp_path / "crops" / "00000.zip") as add:
        for name in "ab":
            add(f"{name}.jpg", images.encode(rendered(1), ".jpg"))
    words = {"networks": networks, "crops": tmp_path / "crops", "out": tmp_path / "found.json"}
    run(calibrate, count=2, input_px=64, **words)
    found = calibration.read(tmp_path / "found.json")
    assert found.n_images == 2 and found.offsets == [] and set(found.ranges) == {"x"}
    assert found.network_sha256 == digest_of([networks / spec.file])
    with pytest.raises(UserError, match="expected 3 crops that can be read, found 2"):
        run(calibrate, count=3, input_px=64, **words)


def test_masks_of_the_8_bit_network_are_those_of_the_32_bit_one():
    folder = ROOT / "models" / "pretrained"
    views = [SegmenterSettings(network=name, input_px=224) for name in ("u2netp", "u2netp_int8")]
    for view in views:
        if not (folder / view.spec.file).is_file():
            pytest.skip(f"needs models/pretrained/{view.spec.file}: run `make test`")
    plain = digest_of([folder / "u2netp.onnx"])
    assert calibration.read(folder / "u2netp_calibration.json").network_sha256 == plain
    settings = InferenceSettings(batch_size=1, engine="openvino", precision="f32")
    for number in (1, 2):
        crop = rendered(number)
        masks = []
        for view in views:
            run_network = runtime.load(folder / view.spec.file, [view.spec.output], settings)
            ((_, saliency),) = segmenter.segment([("", segmenter.prepare(crop, view))], run_network, view)
            masks.append(saliency > 127)
        assert masks[0].mean() > 0.05
        assert (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() > 0.95
