import numpy as np
import pytest

from stages.train import checkpoint
from stages.train.checkpoint import Checkpoint

ARRAYS = {"weights": [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7)], "empty": []}
FACTS = {"step": 3, "losses": [0.1, 1 / 3]}


@pytest.fixture
def kept(tmp_path):
    """A checkpoint that was saved once."""
    made = Checkpoint(tmp_path / "logs" / "kept.npz", "mark")
    made.save(ARRAYS, FACTS)
    return made


def test_what_was_saved_comes_back(kept):
    arrays, facts = kept.load()
    assert facts == FACTS and list(arrays) == ["weights", "empty"] and arrays["empty"] == []
    for saved, found in zip(ARRAYS["weights"], arrays["weights"], strict=True):
        np.testing.assert_array_equal(saved, found)
        assert saved.dtype == found.dtype
    assert [path.name for path in kept.path.parent.iterdir()] == ["kept.npz"]


def test_the_state_of_another_training_counts_for_nothing(kept):
    assert Checkpoint(kept.path, "other").load() is None


def test_no_file_and_a_removed_file_are_no_state(kept, tmp_path):
    assert Checkpoint(tmp_path / "none.npz", "mark").load() is None
    kept.remove()
    kept.remove()
    assert kept.load() is None


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_no_state(kept, share):
    content = kept.path.read_bytes()
    kept.path.write_bytes(content[: int(share * len(content))])
    assert kept.load() is None


def test_a_file_with_a_changed_number_is_no_state(kept):
    content = bytearray(kept.path.read_bytes())
    place = bytes(content).index(np.arange(6, dtype=np.float32).tobytes())
    content[place + 3] ^= 1
    kept.path.write_bytes(bytes(content))
    assert kept.load() is None


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive at all" * 9])
def test_other_files_are_no_state(kept, content):
    kept.path.write_bytes(content)
    assert kept.load() is None


def test_a_pickle_is_not_opened(kept):
    np.savez(kept.path, facts=np.array([{"fingerprint": "mark"}], dtype=object))
    assert kept.load() is None


def test_a_fingerprint_tells_facts_files_and_their_order_apart(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1" * 2**21)
    second.write_bytes(b"2")
    marks = [
        checkpoint.fingerprint("x", [first, second]), checkpoint.fingerprint("x", [second, first]),
        checkpoint.fingerprint("y", [first, second]), checkpoint.fingerprint("x", [first]),
    ]  # fmt: skip
    assert len(set(marks)) == 4 and marks[0] == checkpoint.fingerprint("x", [str(first), second])
    first.write_bytes(b"1" * (2**21 - 1) + b"3")
    assert checkpoint.fingerprint("x", [first, second]) != marks[0]
