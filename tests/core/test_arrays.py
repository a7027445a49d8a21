import struct
import zlib

import numpy as np
import pytest

from stages.core import arrays

ARRAYS = {
    "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "b": np.array(7),
    "empty": np.zeros((0, 4), np.uint8),
}


def test_arrays_come_back_by_name_with_shape_and_type(tmp_path):
    arrays.write(tmp_path / "new" / "a.npz", ARRAYS)
    with np.load(tmp_path / "new" / "a.npz", allow_pickle=False) as found:
        assert found.files == list(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(found[name], array, strict=True)


def test_the_head_of_a_member_is_that_of_the_plain_format(tmp_path):
    """No extra fields and true sizes: what `numpy.savez` writes there depends on the version of Python."""
    arrays.write(tmp_path / "a.npz", {"b": np.zeros(2, np.uint8)})
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }"
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.ljust(117) + b"\n" + bytes(2)
    size, name = len(member), b"b.npy"
    head = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0b100001, zlib.crc32(member), size, size, len(name), 0)
    assert (tmp_path / "a.npz").read_bytes().startswith(head + name + member + b"PK")


def test_objects_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match="Object arrays"):
        arrays.write(tmp_path / "a.npz", {"b": np.array([{}], dtype=object)})
    assert list(tmp_path.iterdir()) == []
