import json

import numpy as np
import pytest

from stages.core import shard_writer
from stages.core.archive import Archive, ArchiveError
from stages.core.shard_writer import Made, Shard, ShardFolder
from tests import archives


def shards_of(items_by_name, inputs=""):
    return {name: Shard(np.array(items), shard_writer.digest([inputs, items])) for name, items in items_by_name.items()}


@pytest.fixture
def update(tmp_path):
    """A function that updates shards of items and returns the rows and the items that were made."""

    def call(shards, inputs="", failing=()):
        tried = []

        def make(items):
            for item in items.tolist():
                tried.append(item)
                yield Made(f"{item}.png", b"" if item in failing else f"{inputs} {item}".encode(), [item, float("nan")])

        tasks = shards_of(shards, inputs)
        rows = ShardFolder(tmp_path / "out", tmp_path / "memory").update(tasks, make)
        return [row[0] for row in rows], tried

    return call


def test_only_shards_with_other_items_or_inputs_are_written(tmp_path, update):
    assert update({"00000": ["a", "b"], "00001": ["c"]}) == (["a", "b", "c"], ["a", "b", "c"])
    kept = tmp_path / "out" / "00000.zip"
    before = kept.stat()
    assert update({"00000": ["a", "b"], "00001": ["c", "d"], "00002": ["e"]}) == (list("abcde"), ["c", "d", "e"])
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert archives.take(tmp_path / "out") == {f"{name}.png": f" {name}".encode() for name in "abcde"}
    assert update({"00000": ["a", "b"]}, inputs="other") == (["a", "b"], ["a", "b"])
    assert archives.take(tmp_path / "out") == {"a.png": b"other a", "b.png": b"other b"}


def test_files_of_other_shards_and_of_killed_runs_go(tmp_path, update):
    update({"00000": ["a"], "00007": ["b"]})
    (tmp_path / "out" / ".00001.0a1b2c3d.zip").write_bytes(b"half")
    update({"00000": ["a"]})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00000.zip"]
    assert [path.name for path in (tmp_path / "memory").iterdir()] == ["00000.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda out, _: out.unlink(),
        lambda out, _: out.write_bytes(b"no archive"),
        lambda out, _: archives.put(out, {"a.png": b"changed"}),
        lambda _, memory: memory.unlink(),
        lambda _, memory: memory.write_bytes(b"\xff"),
        lambda _, memory: memory.write_text("{}"),
        lambda _, memory: memory.write_text("[]"),
        lambda _, memory: memory.write_text(json.dumps(json.loads(memory.read_text()) | {"rows": None})),
    ],
)
def test_a_shard_that_is_not_as_remembered_is_written_again(tmp_path, update, damage):
    update({"00000": ["a"], "00001": ["b"]})
    damage(tmp_path / "out" / "00000.zip", tmp_path / "memory" / "00000.json")
    assert update({"00000": ["a"], "00001": ["b"]}) == (["a", "b"], ["a"])
    assert archives.take(tmp_path / "out") == {"a.png": b" a", "b.png": b" b"}


def test_what_could_not_be_made_is_tried_again(tmp_path, update):
    shards = {"00000": ["a", "b"], "00001": ["c"]}
    assert update(shards, failing=("b",)) == (["a", "b", "c"], ["a", "b", "c"])
    assert archives.take(tmp_path / "out") == {"a.png": b" a", "c.png": b" c"}
    assert update(shards) == (["a", "b", "c"], ["a", "b"])


def test_a_run_that_ends_early_keeps_its_complete_shards(tmp_path, update):
    def make(items):
        for item in items:
            if item == "d":
                raise RuntimeError("on the way")
            yield Made(f"{item}.png", f" {item}".encode(), [item])

    shards = {"00000": ["a", "b"], "00001": ["c", "d"]}
    with pytest.raises(RuntimeError, match="on the way"):
        list(ShardFolder(tmp_path / "out", tmp_path / "memory").update(shards_of(shards), make))
    assert list(archives.take(tmp_path / "out")) == ["a.png", "b.png"]
    assert update(shards) == (["a", "b", "c", "d"], ["c", "d"])


def test_no_shard_is_an_empty_folder(tmp_path, update):
    assert update({}) == ([], []) and list((tmp_path / "out").iterdir()) == []


def test_inputs_hold_the_items_and_the_shards_of_the_same_name(tmp_path):
    archives.put(tmp_path / "crops", {"a.png": b"1"})
    by_shard = {"00000": np.array(["a"]), "00001": np.array(["b"])}

    def keys():
        sources = {"crops": Archive(tmp_path / "crops")}
        tasks = shard_writer.of_archives(by_shard, sources, lambda items: ["settings", items.tolist()])
        assert {name: task.items for name, task in tasks.items()} == by_shard
        return [task.key for task in tasks.values()]

    before = keys()
    assert keys() == before
    archives.put(tmp_path / "crops", {"a.png": b"2"})
    assert [old == new for old, new in zip(before, keys())] == [False, True]


def test_one_zip_file_is_no_source_of_shards(tmp_path):
    archives.put(tmp_path / "crops.zip", {"a.png": b"1"})
    with pytest.raises(
        ArchiveError, match=r"crops\.zip: expected a folder of shards, found one ZIP file; delete it and"
    ):
        shard_writer.of_archives({}, {"crops": Archive(tmp_path / "crops.zip")}, list)
