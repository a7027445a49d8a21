import numpy as np
import pytest

from stages.train import checkpoint
from stages.train.checkpoint import Checkpoint

ARRAYS = {"weights": [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7)], "empty": []}
METADATA = {"step": 3, "losses": [0.1, 1 / 3]}


@pytest.fixture
def saved(tmp_path):
    """A checkpoint with a file."""
    checkpoint = Checkpoint(tmp_path / "logs" / "checkpoint.npz", "fingerprint")
    checkpoint.save(ARRAYS, METADATA)
    return checkpoint


def test_load_returns_what_was_saved(saved):
    arrays, metadata = saved.load()
    assert metadata == METADATA and list(arrays) == ["weights", "empty"] and arrays["empty"] == []
    for expected, loaded in zip(ARRAYS["weights"], arrays["weights"], strict=True):
        np.testing.assert_array_equal(expected, loaded)
        assert expected.dtype == loaded.dtype
    assert [path.name for path in saved.path.parent.iterdir()] == ["checkpoint.npz"]


def test_the_checkpoint_of_another_training_is_ignored(saved):
    assert Checkpoint(saved.path, "other").load() is None


def test_a_missing_and_a_removed_file_give_none(saved, tmp_path):
    assert Checkpoint(tmp_path / "none.npz", "fingerprint").load() is None
    saved.remove()
    saved.remove()
    assert saved.load() is None


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_ignored(saved, share):
    content = saved.path.read_bytes()
    saved.path.write_bytes(content[: int(share * len(content))])
    assert saved.load() is None


def test_a_file_with_a_flipped_bit_is_ignored(saved):
    content = bytearray(saved.path.read_bytes())
    start = bytes(content).index(np.arange(6, dtype=np.float32).tobytes())
    content[start + 3] ^= 1
    saved.path.write_bytes(bytes(content))
    assert saved.load() is None


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive at all" * 9])
def test_other_files_are_ignored(saved, content):
    saved.path.write_bytes(content)
    assert saved.load() is None


def test_a_pickle_is_not_loaded(saved):
    np.savez(saved.path, header=np.array([{"fingerprint": "fingerprint"}], dtype=object))
    assert saved.load() is None


def test_a_fingerprint_depends_on_facts_files_and_their_order(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1" * 2**21)
    second.write_bytes(b"2")
    fingerprints = [
        checkpoint.fingerprint("x", [first, second]), checkpoint.fingerprint("x", [second, first]),
        checkpoint.fingerprint("y", [first, second]), checkpoint.fingerprint("x", [first]),
    ]  # fmt: skip
    assert len(set(fingerprints)) == 4
    assert fingerprints[0] == checkpoint.fingerprint("x", [str(first), second])
    first.write_bytes(b"1" * (2**21 - 1) + b"3")
    assert checkpoint.fingerprint("x", [first, second]) != fingerprints[0]
