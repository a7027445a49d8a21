import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from stages.networks.inference_cache import InferenceCache, InferenceCacheError, digest_of


def test_answers_are_kept_between_runs_by_key(tmp_path):
    kept = InferenceCache(tmp_path, {"network": "a"})
    assert kept.missing(["x", "y", "z"]) == {"x", "y", "z"}
    kept.keep([("y", b"\0\xff"), ("x", b"")])
    again = InferenceCache(tmp_path, {"network": "a"})
    assert again.missing(["x", "y", "z"]) == {"z"}
    assert list(again.all_of(["y", "z", "x", "y"])) == [("y", b"\0\xff"), ("x", b""), ("y", b"\0\xff")]
    again.keep([])
    assert list(again.all_of([])) == []


def test_every_question_has_answers_of_its_own_and_the_last_three_stay(tmp_path):
    for number in range(4):
        kept = InferenceCache(tmp_path, {"network": "a", "side": number})
        assert kept.missing(["x"]) == {"x"}
        kept.keep([("x", bytes([number]))])
        os.utime(kept.path, ns=(number, number))
    assert list(InferenceCache(tmp_path, {"side": 3, "network": "a"}).all_of(["x"])) == [("x", b"\x03")]
    assert InferenceCache(tmp_path, {"network": "a", "side": 1}).missing(["x"]) == set()
    assert InferenceCache(tmp_path, {"network": "a", "side": 0}).missing(["x"]) == {"x"}
    assert len(list(tmp_path.glob("*.sqlite"))) == 3


def test_a_run_killed_between_answers_keeps_those_before_it(tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from stages.networks.inference_cache import InferenceCache
def asked():
    for number in range(200):
        if number == 150:
            os.kill(os.getpid(), signal.SIGKILL)
        yield str(number), bytes([number])
InferenceCache(Path(sys.argv[1]), {}).keep(asked())
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    kept = InferenceCache(tmp_path, {})
    assert kept.missing(map(str, range(200))) == set(map(str, range(128, 200)))
    assert [answer for _, answer in kept.all_of(map(str, range(200)))] == [bytes([n]) for n in range(128)]


def test_a_file_that_holds_no_answers_is_named(tmp_path):
    path = InferenceCache(tmp_path, {}).path
    path.write_bytes(b"no database" * 100)
    with pytest.raises(InferenceCacheError, match=rf"{path.name}: expected answers kept .* or delete the file"):
        InferenceCache(tmp_path, {})
    path.unlink()
    sqlite3.connect(path).executescript("CREATE TABLE answers (key, answer); DROP TABLE answers;")
    assert InferenceCache(tmp_path, {}).missing(["x"]) == {"x"}


def test_a_digest_depends_on_every_byte_of_every_file_and_on_their_order(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    seen = {digest_of([first]), digest_of([second]), digest_of([first, second]), digest_of([second, first])}
    second.write_bytes(b"12")
    assert len(seen | {digest_of([second]), digest_of([first, second]), digest_of([])}) == 7
    second.rename(tmp_path / "c")
    assert digest_of([tmp_path / "c"]) not in seen
