import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from stages.pretrained import convert
from stages.pretrained.convert import ConvertError


@pytest.mark.parametrize(
    "names", [[], ["weights.bin", "readme.md"], ["a.onnx", "b.onnx"], ["a.json", "b.pth", "c.bin"]]
)
def test_none_or_several_networks_are_an_error_that_names_them(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    networks = [name for name in names if not name.endswith(("bin", "md"))] or ["none"]
    with pytest.raises(ConvertError) as caught:
        convert.find_source(tmp_path)
    assert str(tmp_path) in str(caught.value) and ", ".join(networks) in str(caught.value)


def test_the_network_is_recognised_beside_its_weights(tmp_path):
    for name in ("net.json", "net.bin", "readme.md"):
        (tmp_path / name).write_bytes(b"")
    assert convert.find_source(tmp_path) == tmp_path / "net.json"


@pytest.fixture
def network(tmp_path):
    """A folder with an ONNX file that doubles its input (1, 2)."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 2)) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"], name="random_7")], "graph", ends[:1], ends[1:]
    )
    (tmp_path / "in").mkdir()
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "in" / "net.onnx",
    )
    return tmp_path / "in"


def test_the_batch_becomes_dynamic_and_the_bytes_are_the_same_again(tmp_path, network, run, capsys):
    run(convert, source=network, out=tmp_path / "net.onnx")
    content = (tmp_path / "net.onnx").read_bytes()
    run(convert, source=network, out=tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == content
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch" and graph.node[0].name == "node_0"
    assert f"convert net.onnx: {len(content)} bytes" in capsys.readouterr().out


def test_a_damaged_file_leaves_the_old_network(tmp_path, run):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "net.pth").write_bytes(b"no pickle")
    np.savez(tmp_path / "net.npz", old=np.arange(3))
    with pytest.raises(Exception, match=r"net\.pth"):
        run(convert, source=tmp_path / "in", out=tmp_path / "net.npz")
    assert np.load(tmp_path / "net.npz")["old"].tolist() == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "net.npz"]
