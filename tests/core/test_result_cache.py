import gc
import os
import signal
import sqlite3
import subprocess
import sys
import warnings
from contextlib import closing

import pytest

from stages.core import import_closure, result_cache
from stages.core.result_cache import Missing, ResultCache, ResultCacheError, code_digest, digest_of


def test_outputs_are_cached_between_runs_by_key(tmp_path):
    with ResultCache(tmp_path, {"network": "a"}) as cache:
        assert set(cache.missing(["x", "y", "z"])) == {"x", "y", "z"}
        cache.put_many([("y", b"\0\xff"), ("x", b"")])
    with ResultCache(tmp_path, {"network": "a"}) as again:
        assert set(again.missing(["x", "y", "z"])) == {"z"}
        assert list(again.get_many(["y", "z", "x", "y"])) == [("y", b"\0\xff"), ("x", b""), ("y", b"\0\xff")]
        again.put_many([])
        assert list(again.get_many([])) == []


def test_what_is_missing_comes_in_order_however_many_there_are(tmp_path):
    keys = [f"{number:x}" for number in reversed(range(1700))]
    with ResultCache(tmp_path, {}) as cache:
        cache.put_many([(key, b"") for key in keys[3:1690]])
        assert list(cache.missing(keys)) == [*keys[:3], *keys[1690:]]
        assert list(cache.missing([("0", 1), ("no", 2)], lambda row: row[0])) == [("0", 1), ("no", 2)]
        assert list(cache.missing([])) == []


def test_missing_items_are_counted_once_and_looked_up_while_results_are_put(tmp_path):
    keys = list(map(str, range(1200)))
    with ResultCache(tmp_path, {}) as cache:
        cache.put_many([("7", b"")])
        new = Missing(cache, lambda: iter(keys), str)
        assert len(new) == 1199 and "7" not in list(new)
        cache.put_many((key, key.encode()) for key in new)
        assert len(new) == 1199 and list(new) == []
        assert dict(cache.get_many(keys))["1199"] == b"1199"


def test_every_configuration_has_its_own_outputs_and_the_last_three_stay(tmp_path):
    for number in range(4):
        with ResultCache(tmp_path, {"network": "a", "side": number}) as cache:
            assert set(cache.missing(["x"])) == {"x"}
            cache.put_many([("x", bytes([number]))])
        os.utime(cache.path, ns=(number, number))
    with ResultCache(tmp_path, {"side": 3, "network": "a"}) as last:
        assert list(last.get_many(["x"])) == [("x", b"\x03")]
    for number, missing in [(1, set()), (0, {"x"})]:
        with ResultCache(tmp_path, {"network": "a", "side": number}) as cache:
            assert set(cache.missing(["x"])) == missing
    assert len(list(tmp_path.glob("*.sqlite"))) == 3


def test_a_run_killed_between_outputs_keeps_those_before_it(tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from stages.core.result_cache import ResultCache
def outputs():
    for number in range(200):
        if number == 150:
            os.kill(os.getpid(), signal.SIGKILL)
        yield str(number), bytes([number])
ResultCache(Path(sys.argv[1]), {}).put_many(outputs())
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    with ResultCache(tmp_path, {}) as cache:
        assert set(cache.missing(map(str, range(200)))) == set(map(str, range(128, 200)))
        assert [output for _, output in cache.get_many(map(str, range(200)))] == [bytes([n]) for n in range(128)]


def test_a_file_that_is_no_cache_is_named(tmp_path):
    with ResultCache(tmp_path, {}) as cache:
        path = cache.path
    path.write_bytes(b"no database" * 100)
    with pytest.raises(ResultCacheError, match=rf"{path.name}: expected cached results .* or delete the file"):
        ResultCache(tmp_path, {})
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE outputs (key, output); DROP TABLE outputs;")
    with ResultCache(tmp_path, {}) as cache:
        assert set(cache.missing(["x"])) == {"x"}


def test_the_file_is_closed_at_the_end_and_where_it_is_no_database(tmp_path):
    with ResultCache(tmp_path, {}) as cache:
        cache.put_many([("x", b"1")])
        unfinished = cache.get_many(["x"])
        assert next(unfinished) == ("x", b"1")
    with pytest.raises(ResultCacheError, match="closed"):
        list(cache.missing(["x"]))
    cache.path.write_bytes(b"no database" * 100)
    # Python 3.13 and later warn of a connection that is deleted open.
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with pytest.raises(ResultCacheError):
            ResultCache(tmp_path, {})
        gc.collect()
    assert not shown


def test_a_digest_depends_on_every_byte_of_every_file_and_on_their_order(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    digests = {digest_of([first]), digest_of([second]), digest_of([first, second]), digest_of([second, first])}
    second.write_bytes(b"12")
    assert len(digests | {digest_of([second]), digest_of([first, second]), digest_of([])}) == 7
    second.rename(tmp_path / "c")
    assert digest_of([tmp_path / "c"]) not in digests


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of what a network's code imports, beside modules that it does not import."""
    sources = {
        "run.py": "from stages import errors, heads\nfrom stages.settings import SIDE\n",
        "heads.py": "def decode():\n    import stages.geometry\n",
        "geometry.py": "import numpy\n",
        "settings.py": "from stages import limits\nSIDE = 1\n",
        "catalogue.py": "SPECS = {}\n",
        "errors.py": "",
        "limits.py": "",
        "table.py": "from stages import run\n",
        "__init__.py": "",
    }
    for name, source in sources.items():
        path = tmp_path / "stages" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, "utf-8")
    monkeypatch.setattr(result_cache, "import_closure", lambda names, skip: closure(names, tmp_path, skip))
    return tmp_path / "stages"


closure = import_closure.import_closure


@pytest.mark.parametrize(
    ("changed", "is_another"),
    [("run.py", True), ("heads.py", True), ("geometry.py", True), ("__init__.py", True)]
    + [(name, False) for name in ("settings.py", "catalogue.py", "errors.py", "limits.py", "table.py", "new.py")],
)
def test_the_digest_of_code_changes_with_what_it_imports_and_with_nothing_else(project, changed, is_another):
    before = code_digest("stages.run")
    with (project / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert (code_digest("stages.run") != before) == is_another


@pytest.mark.parametrize(
    ("modules", "own"),
    [
        (["stages.detect.detector"], {"detect/detector", "detect/centernet", "images/boxes"}),
        (["stages.segment.segmenter", "stages.images.images"], {"segment/segmenter"}),
    ],
)
def test_the_code_of_a_network_is_what_computes_its_outputs(modules, own):
    paths = closure(modules, skip=result_cache._SKIPPED)
    names = {path.relative_to(import_closure.ROOT / "stages").with_suffix("").as_posix() for path in paths}
    images = {"images/images", "images/colour", "images/depth", "images/jpeg", "images/letterbox"}
    assert names == own | images | {"__init__", "networks/runtime", "networks/openvino_network", "networks/onnx_graph"}
