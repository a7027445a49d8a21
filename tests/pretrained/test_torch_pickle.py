"""Checkpoints are written here without PyTorch, by classes that pickle like its own."""

import io
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from stages.pretrained.torch_pickle import TorchPickleError, read

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class _Tensor:
    """Pickles as a call of `torch._utils._rebuild_tensor_v2`."""

    def __init__(self, key, kind, count, offset, shape, stride):
        self.storage = _Storage(key, kind, count)
        self.view = (offset, shape, stride)

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (self.storage, *self.view, False, OrderedDict())


class _Storage:
    def __init__(self, key, kind, count):
        self.key, self.kind, self.count = key, kind, count


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, _Storage):
            return ("storage", getattr(sys.modules["torch"], obj.kind), obj.key, "cpu", obj.count, None)
        return None


@pytest.fixture(autouse=True)
def torch_names(monkeypatch):
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in ("FloatStorage", "LongStorage", "CharStorage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        raise NotImplementedError

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch._utils = utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def checkpoint(path: Path, state, storages, magic=MAGIC, protocol=PROTOCOL, little_endian=True) -> Path:
    stream = io.BytesIO()
    for value in (magic, protocol, {"little_endian": little_endian}, state, list(storages)):
        _Pickler(stream, protocol=2).dump(value)
    for values in storages.values():
        stream.write(struct.pack("<q", len(values)) + values.tobytes())
    path.write_bytes(stream.getvalue())
    return path


def test_tensors_are_read_by_name_with_their_strides(tmp_path):
    state = OrderedDict(
        {
            "a.weight": _Tensor("7", "FloatStorage", 6, 0, (2, 3), (3, 1)),
            "a.turned": _Tensor("7", "FloatStorage", 6, 0, (3, 2), (1, 3)),
            "a.tail": _Tensor("7", "FloatStorage", 6, 4, (2,), (1,)),
            "steps": _Tensor("9", "LongStorage", 1, 0, (), ()),
        }
    )
    values = np.array([1, 2, 3, 4, 5, 6], dtype="<f4")
    path = checkpoint(tmp_path / "w.pth", state, {"7": values, "9": np.array([41], dtype="<i8")})
    tensors = read(path)
    assert list(tensors) == ["a.weight", "a.turned", "a.tail", "steps"]
    np.testing.assert_array_equal(tensors["a.weight"], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(tensors["a.turned"], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(tensors["a.tail"], [5, 6])
    assert tensors["steps"] == 41 and tensors["steps"].shape == ()
    assert all(tensor.dtype == np.float32 and tensor.flags.c_contiguous for tensor in tensors.values())


class _Call:
    """A pickle that calls a function when it is read by an unrestricted unpickler."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("position", ["magic", "protocol", "state", "nested"])
def test_another_global_is_named_and_never_called(tmp_path, position):
    trap = tmp_path / "ran"
    bad = _Call(os.mkdir, str(trap))
    arguments = {"state": OrderedDict(), "storages": {}}
    arguments |= {"state": {"w": [bad]}} if position == "nested" else {position: bad}
    path = checkpoint(tmp_path / "evil.pth", **arguments)
    with pytest.raises(TorchPickleError, match=r"evil\.pth: .*global `posix\.mkdir`"):
        read(path)
    assert not trap.exists()


def test_builtins_are_rejected_by_name(tmp_path):
    path = checkpoint(tmp_path / "evil.pth", {"w": _Call(eval, "1")}, {})
    with pytest.raises(TorchPickleError, match=r"evil\.pth: .*global `__builtin__\.eval`"):
        read(path)


def test_other_storages_are_rejected_by_name(tmp_path):
    state = {"w": _Tensor("1", "CharStorage", 1, 0, (1,), (1,))}
    with pytest.raises(TorchPickleError, match=r"torch\.CharStorage"):
        read(checkpoint(tmp_path / "w.pth", state, {"1": np.zeros(1, "<i1")}))


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [(3, (4,), (1,)), (0, (2, 3), (4, 1)), (-1, (2,), (1,)), (5, (2,), (-1,)), (0, (6,), (1, 1))],
)
def test_views_outside_their_storage_are_rejected(tmp_path, offset, shape, stride):
    state = {"w": _Tensor("1", "FloatStorage", 6, offset, shape, stride)}
    with pytest.raises(TorchPickleError, match="`w`"):
        read(checkpoint(tmp_path / "w.pth", state, {"1": np.zeros(6, "<f4")}))


def test_a_wrong_count_is_rejected_before_memory_is_allocated(tmp_path):
    state = {"w": _Tensor("1", "FloatStorage", 2**40, 0, (1,), (1,))}
    path = checkpoint(tmp_path / "w.pth", state, {"1": np.zeros(0, "<f4")})
    content = path.read_bytes()[:-8] + struct.pack("<q", 2**40)
    path.write_bytes(content)
    with pytest.raises(TorchPickleError, match=r"1099511627776 numbers in the storage 1"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"\x80", b"not a pickle", b"PK\x03\x04", b"\x80\x02K\x01."])
def test_other_files_are_rejected_by_name(tmp_path, content):
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with pytest.raises(TorchPickleError, match=r"other\.bin: expected"):
        read(path)


def test_a_file_truncated_anywhere_is_rejected(tmp_path):
    state = {"w": _Tensor("1", "FloatStorage", 2, 0, (2,), (1,))}
    whole = checkpoint(tmp_path / "w.pth", state, {"1": np.ones(2, "<f4")}).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(TorchPickleError, match=r"cut\.pth"):
            read(tmp_path / "cut.pth")


@pytest.mark.parametrize(
    "change", [{"magic": 5}, {"protocol": 1000}, {"little_endian": False}, {"state": [1]}, {"state": {3: 4}}]
)
def test_other_headers_are_rejected(tmp_path, change):
    arguments = {"state": {}, "storages": {}} | change
    with pytest.raises(TorchPickleError, match=r"w\.pth: expected"):
        read(checkpoint(tmp_path / "w.pth", **arguments))
