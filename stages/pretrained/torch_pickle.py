"""Read the tensors of a legacy PyTorch checkpoint without PyTorch and without running code that it names.

The format (torch.save before version 1.6) is a sequence of pickles: a magic number, a protocol number, facts about the
machine that wrote it, the state dict, and the list of storage keys. The storages follow: for each key an int64 count
and the raw little-endian numbers.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from stages.core.errors import UserError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_NUMBER = 1001
_STORAGE_DTYPES = {"HalfStorage": "<f2", "FloatStorage": "<f4", "DoubleStorage": "<f8", "LongStorage": "<i8"}
# What unpickling raises on a damaged file.
_MALFORMED = (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError)


class TorchPickleError(UserError):
    """The file is no legacy checkpoint, is damaged, or names something that is no tensor."""


class _Storage(NamedTuple):
    key: str
    dtype: str
    n_values: int


class _View(NamedTuple):
    """A tensor before its storage is read; offset and stride count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of the checkpoint at `path` by name, as C-ordered float32 arrays.

    Integer tensors (the batch counters of batch normalisation) become float32, too. Raises TorchPickleError, which
    names the file and what was found.
    """
    try:
        with path.open("rb") as stream:
            return _read(stream, path.stat().st_size)
    except TorchPickleError as error:
        raise TorchPickleError(f"{path}: {error}") from None
    except _MALFORMED as error:
        raise TorchPickleError(f"{path}: expected a legacy PyTorch checkpoint, found: {error}") from None


def _read(stream: BinaryIO, size_bytes: int) -> dict[str, np.ndarray]:
    for name, expected in (("magic number", _MAGIC_NUMBER), ("protocol", _PROTOCOL_NUMBER)):
        value = _Unpickler(stream).load()
        if value != expected:
            raise TorchPickleError(f"expected the {name} {expected:#x}, found {value!r}")
    if not _Unpickler(stream).load().get("little_endian"):
        raise TorchPickleError("expected little-endian numbers, found big-endian ones")
    unpickler = _Unpickler(stream)
    state = unpickler.load()
    keys = _Unpickler(stream).load()
    storages = {key: _read_storage(stream, unpickler.storages[key], size_bytes) for key in keys}
    return {_name(name): _tensor(name, view, storages) for name, view in state.items()}


class _Unpickler(pickle.Unpickler):
    """Creates dictionaries, numbers, text and tensor views, and nothing else."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        raise TorchPickleError(
            f"expected nothing but tensors, found the global `{module}.{name}`; do not trust this file"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, count, _view = pid
        if kind != "storage" or dtype not in _STORAGE_DTYPES.values() or not isinstance(count, int):
            raise TorchPickleError(f"expected a reference to a storage, found {pid!r}")
        return self.storages.setdefault(key, _Storage(key, dtype, count))


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, stride: Any, *_unused: object) -> _View:
    return _View(storage, offset, tuple(shape), tuple(stride))


def _read_storage(stream: BinaryIO, storage: _Storage, size_bytes: int) -> np.ndarray:
    count = int.from_bytes(stream.read(8), "little", signed=True)
    dtype = np.dtype(storage.dtype)
    if count != storage.n_values or count * dtype.itemsize > size_bytes - stream.tell():
        raise TorchPickleError(
            f"expected {storage.n_values} numbers in the storage {storage.key}, found {count} or an early end"
        )
    return np.frombuffer(stream.read(count * dtype.itemsize), dtype)


def _tensor(name: str, view: Any, storages: dict[str, np.ndarray]) -> np.ndarray:
    if not isinstance(view, _View) or len(view.shape) != len(view.stride):
        raise TorchPickleError(f"expected a tensor under `{name}`, found {type(view).__name__}")
    flat = storages[view.storage.key]
    last = view.offset + sum((length - 1) * step for length, step in zip(view.shape, view.stride))
    is_inside = view.offset >= 0 and min((0, *view.shape, *view.stride)) >= 0 and last < len(flat)
    if prod(view.shape) and not is_inside:
        raise TorchPickleError(f"expected `{name}` to lie inside its storage of {len(flat)}, found {view}")
    strides = tuple(step * flat.itemsize for step in view.stride)
    strided = np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, strides)
    return np.array(strided, dtype=np.float32, order="C")


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TorchPickleError(f"expected names of tensors, found {name!r}")
    return name
