import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stages.networks import compiled_networks, openvino_network, runtime
from stages.networks.settings import InferenceSettings

openvino = pytest.importorskip("openvino")

# Of 1 + 1/1024, bf16 keeps 1: it has 8 bits.
FINE = 1 + 1 / 1024


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return compiled_networks.folder()


@pytest.fixture
def path(tmp_path):
    """Two 1x1 convolutions, named `first` and `second`: y = 3 x FINE, z = y W with W of ones."""
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", 8, 4, 4)) for name in "xz"]
    eye = np.eye(8, dtype=np.float32)[:, :, None, None]
    weights = [numpy_helper.from_array(3 * eye, "v"), numpy_helper.from_array(np.ones_like(eye) * eye, "w")]
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["y"], name="first"),
        helper.make_node("Conv", ["y", "w"], ["z"], name="second"),
    ]
    graph = helper.make_graph(nodes, "graph", shapes[:1], shapes[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "n.onnx")
    return tmp_path / "n.onnx"


def output(path, precision="f32", **options):
    rule = InferenceSettings(batch_size=1, engine="openvino", precision=precision)
    ((z,),) = runtime.load(path, ["z"], rule, **options)([np.full((8, 4, 4), FINE, np.float32)])
    return z


def test_a_network_without_names_returns_the_outputs_of_its_file(path):
    rule = InferenceSettings(batch_size=1, engine="openvino", precision="f32")
    ((z,),) = runtime.load(path, [], rule)([np.ones((8, 4, 4), np.float32)])
    assert z.tolist() == np.full((8, 4, 4), 3).tolist()


@pytest.mark.skipif(
    "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"), reason="the CPU has no bf16"
)
def test_nodes_can_keep_32_bits_where_the_others_have_16(path):
    exact = np.float32(3 * FINE)
    assert (output(path) == exact).all() and (output(path, "bf16") != exact).all()
    assert (output(path, "bf16", f32_nodes=["first", "z"]) == exact).all()
    assert (output(path, "bf16", f32_nodes=["firs"]) == output(path, "bf16")).all()


def test_a_compiled_network_is_taken_from_the_cache_and_has_the_same_outputs(path, cache, monkeypatch):
    first = output(path)
    assert len(list(cache.iterdir())) == 1

    monkeypatch.setattr(openvino_network._Network, "graph", lambda _: pytest.fail("compiled again"))
    assert (output(path) == first).all()
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(pytest.fail.Exception, match="compiled again"):
        output(path)


def test_a_cache_of_another_openvino_is_replaced(path, cache):
    first = output(path)
    (kept,) = cache.iterdir()
    network, _, key = kept.stem.partition("-")
    compiled_networks.write(network, key, b"no compiled network")
    assert (output(path) == first).all()
    assert compiled_networks.read(network, key) != b"no compiled network"


def test_another_file_size_or_instruction_set_is_another_compiled_network(path, cache, monkeypatch):
    rule = InferenceSettings(batch_size=1, engine="openvino", precision="f32")
    network = runtime.load(path, ["z"], rule)
    for side in (4, 6):
        list(network([np.ones((8, side, side), np.float32)]))
    assert len(list(cache.iterdir())) == 2
    monkeypatch.setattr("stages.reproducibility", lambda: "other")
    output(path)
    assert len(list(cache.iterdir())) == 3
    model = onnx.load(path)
    model.producer_name = "another"
    onnx.save(model, path)
    output(path)
    assert len(list(cache.iterdir())) == 4


def test_an_expected_format_is_made_ready_ahead_and_others_when_they_come(path, cache):
    rule = InferenceSettings(batch_size=1, engine="openvino", precision="f32")
    network = runtime.load(path, ["z"], rule, expected=np.empty((8, 4, 4), np.uint8))
    for side, kind in ((6, np.uint8), (4, np.uint8), (4, np.float32)):
        ((z,),) = network([np.ones((8, side, side), kind)])
        assert z.dtype == np.float32 and z.tolist() == np.full((8, side, side), 3).tolist()
    assert len(list(cache.iterdir())) == 3


def test_images_are_taken_as_they_lie_in_memory(path):
    rule = InferenceSettings(batch_size=1, engine="openvino", precision="f32")
    images = np.arange(2 * 8 * 4 * 4, dtype=np.uint8).reshape(2, 8, 4, 4)
    images.flags.writeable = False
    others = [images.astype(kind) for kind in (np.float32, np.float64, np.int64, np.uint16)]
    others[0].flags.writeable = False
    network = runtime.load(path, ["z"], rule)
    for shown in (images, *others, images[:, ::-1, :, ::-1]):
        for expected, (z,) in zip(3.0 * shown, network(shown), strict=True):
            assert z.tolist() == expected.tolist()


def test_threads_are_not_tied_to_cores_so_two_processes_do_not_share_one(path, monkeypatch):
    compile_network, compiled = openvino_network._Network.compiled, []

    def kept(self, image):
        compiled.append(compile_network(self, image))
        return compiled[-1]

    monkeypatch.setattr(openvino_network._Network, "compiled", kept)
    for _ in ("compiled", "from the cache"):
        output(path)
    assert [network.get_property("ENABLE_CPU_PINNING") for network in compiled] == [False, False]
