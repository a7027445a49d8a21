import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper

from stages.networks import onnx_graph


def build(nodes, initializers, outputs=("y",), shape=(1, 2)):
    """A graph of one input `x` with the given nodes and initializers (name to array)."""
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in initializers.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def diamond(order, a="a", b="b", prefix=""):
    """y = (x + [1, 2]) * (x - [3, 5]), its nodes in a given order and with given inner names."""
    nodes = [
        helper.make_node("Add", ["x", f"{a}_weight"], [a], name=f"{prefix}add"),
        helper.make_node("Sub", ["x", f"{b}_weight"], [b], name=f"{prefix}sub"),
        helper.make_node("Mul", [a, b], ["y"], name=f"{prefix}mul"),
    ]
    weights = {f"{a}_weight": [1, 2], f"{b}_weight": [3, 5]}
    names = sorted(weights, reverse=order[0] > order[1])
    return build([nodes[i] for i in order], {name: weights[name] for name in names})


def run(model, batch, outputs=("y",)):
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(list(outputs), {"x": np.asarray(batch, np.float32)})


def test_equal_graphs_become_equal_bytes_whatever_their_order_and_names():
    variants = [diamond((0, 1, 2)), diamond((1, 0, 2)), diamond((1, 0, 2), a="zz__12", b="aa__7", prefix="random/")]
    before = [model.SerializeToString() for model in variants]
    assert len(set(before)) == 3
    assert len({onnx_graph.canonical(model).SerializeToString() for model in variants}) == 1
    assert [model.SerializeToString() for model in variants] == before


def test_another_graph_becomes_other_bytes():
    swapped = diamond((0, 1, 2))
    swapped.graph.node[2].input[:] = ["b", "b"]
    assert (
        onnx_graph.canonical(swapped).SerializeToString()
        != onnx_graph.canonical(diamond((0, 1, 2))).SerializeToString()
    )


def test_results_and_the_names_at_the_ends_stay():
    model = diamond((1, 0, 2))
    result = onnx_graph.canonical(model)
    assert [value.name for value in [*result.graph.input, *result.graph.output]] == ["x", "y"]
    assert run(model, [[10, 20]])[0].tolist() == run(result, [[10, 20]])[0].tolist() == [[77, 330]]


def test_canonical_again_changes_nothing():
    once = onnx_graph.canonical(diamond((1, 0, 2)))
    assert onnx_graph.canonical(once).SerializeToString() == once.SerializeToString()


def test_nodes_and_weights_that_lead_to_no_output_go():
    model = diamond((0, 1, 2))
    model.graph.node.append(helper.make_node("Relu", ["a"], ["unused"]))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "nowhere"))
    assert (
        onnx_graph.canonical(model).SerializeToString() == onnx_graph.canonical(diamond((0, 1, 2))).SerializeToString()
    )


def test_skipped_inputs_and_several_outputs_stay_as_they_are():
    nodes = [
        helper.make_node("Clip", ["x", "", "highest"], ["clipped"]),
        helper.make_node("Split", ["clipped"], ["left", "right"], axis=1, num_outputs=2),
        helper.make_node("Concat", ["right", "left"], ["y"], axis=1),
        helper.make_node("Identity", ["clipped"], ["z"]),
    ]
    model = build(nodes, {"highest": 7.0}, outputs=("y", "z"))
    model.opset_import[0].version = 18
    result = onnx_graph.canonical(model)
    for output, expected in zip(run(result, [[-9, 8]], ("y", "z")), ([[7, -9]], [[-9, 7]])):
        assert output.tolist() == expected


def test_a_very_deep_graph_is_put_in_order():
    steps = 3000
    names = ["x", *(f"t{i}" for i in range(steps - 1)), "y"]
    nodes = [helper.make_node("Add", [names[i], "one"], [names[i + 1]]) for i in range(steps)]
    result = onnx_graph.canonical(build(nodes[::-1], {"one": [1, 1]}))
    assert len(result.graph.node) == steps and result.graph.node[0].input[0] == "x"
    assert [node.output[0] for node in result.graph.node[:-1]] == [node.input[0] for node in result.graph.node[1:]]


@pytest.mark.parametrize("n", [1, 3])
def test_a_freed_batch_takes_any_number_of_images(n):
    model = diamond((0, 1, 2))
    before = model.SerializeToString()
    result = onnx_graph.free_batch(model)
    batch = np.arange(2 * n).reshape(n, 2)
    assert run(result, batch)[0].tolist() == ((batch + np.array([1, 2])) * (batch - np.array([3, 5]))).tolist()
    assert result.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 2
    assert model.SerializeToString() == before


def gate(inputs=("clipped", "factor"), outputs=("y",), **changed):
    """y = clip(x + 3, 0, 6) * 0.25, the factor on either side, or with other numbers."""
    nodes = [
        helper.make_node("Add", ["x", "three"], ["shifted"]),
        helper.make_node("Clip", ["shifted", "low", "high"], ["clipped"]),
        helper.make_node("Mul", inputs, ["y"]),
    ]
    return build(nodes, {"three": 3, "low": 0, "high": 6, "factor": 0.25} | changed, outputs, (1, 4))


@pytest.mark.parametrize("inputs", [("clipped", "factor"), ("factor", "clipped")])
def test_a_factor_behind_a_clip_is_multiplied_in_before_it(inputs):
    model = gate(inputs, low=-1)
    before = model.SerializeToString()
    result = onnx_graph.canonical(onnx_graph.multiply_before_clip(model))
    assert [node.op_type for node in result.graph.node] == ["Add", "Mul", "Clip"]
    assert run(result, [[-9, -1, 2, 5]])[0].tolist() == [[-0.25, 0.5, 1.25, 1.5]]
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    "model",
    [
        gate(factor=-0.25),
        gate(factor=[0.25, 0.5, 0.75, 1]),
        gate(("clipped", "clipped")),
        gate(("clipped", "shifted")),
        gate(outputs=("y", "clipped")),
        diamond((0, 1, 2)),
    ],
    ids=["negative", "not one number", "a square", "no constant", "clip is read elsewhere", "no clip"],
)
def test_other_products_stay_as_they_are(model):
    assert onnx_graph.multiply_before_clip(model) == model


def test_openvino_multiplies_by_the_stored_factor_and_not_by_one_sixth():
    stored = float(np.float16(1 / 6))
    model = onnx_graph.canonical(onnx_graph.multiply_before_clip(gate(factor=stored)))
    graph = openvino.Core().read_model(model.SerializeToString())
    network = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    (result,) = network(np.array([[-4, 0, 2, 9]], np.float32)).values()
    assert result[0] == pytest.approx(np.array([0, 3, 5, 6]) * stored, abs=1e-6)


def reshaping(target, shape=("batch", 3, 1, 1)):
    """y = relu(reshape(relu(x))) with a target shape for the reshape in the middle."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Reshape", ["a", "target"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    model = build(nodes, {}, shape=shape)
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(target, np.int64), "target"))
    return model


def test_a_reshape_to_the_shape_there_already_is_goes_and_the_results_stay():
    model = reshaping([-1, 3, 1, 1])
    before = model.SerializeToString()
    slim = onnx_graph.remove_noop_reshapes(model)
    assert [node.op_type for node in slim.graph.node] == ["Relu", "Relu"] and model.SerializeToString() == before
    batch = np.arange(-6, 6).reshape(4, 3, 1, 1)
    np.testing.assert_array_equal(run(slim, batch), run(model, batch))


@pytest.mark.parametrize("target", [[-1, 3], [-1, 1, 3, 1], [1, 12, 1, 1], [-1, 1, 1, 1]])
def test_a_reshape_that_changes_anything_stays(target):
    slim = onnx_graph.remove_noop_reshapes(reshaping(target))
    assert [node.op_type for node in slim.graph.node] == ["Relu", "Reshape", "Relu"]


def test_a_reshape_of_what_has_no_known_shape_stays():
    slim = onnx_graph.remove_noop_reshapes(reshaping([-1, 3, 1, 1], shape=("batch", "c", 1, 1)))
    assert len(slim.graph.node) == 3
