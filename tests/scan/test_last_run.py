"""A run that finds nothing new takes what the last one wrote, and every change is found."""

import json
import os
import shutil
import time

import pytest

from stages.scan import __main__ as scan_stage
from stages.scan import last_run, scanning
from stages.sources import hash_cache
from stages.sources.settings import SourceSettings


@pytest.fixture
def stage(tmp_path, run, monkeypatch):
    """A function that runs the stage on tmp_path/photos; it returns the table, and whether the source was read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(last_run, "CLOCK_NS", 0)
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        (tmp_path / "photos" / name).write_text(name)
    scan, read = scanning.scan, []
    monkeypatch.setattr(scanning, "scan", lambda *arguments: read.append(1) or scan(*arguments))

    def call(**changes):
        read.clear()
        settings = {"source": "photos", **changes}
        (tmp_path / "params.yaml").write_text(json.dumps({"ingest": settings}))
        out = tmp_path / "out"
        (out / "files.csv").unlink(missing_ok=True)
        run(scan_stage, params=tmp_path / "params.yaml", files=out / "files.csv", cache=out / "hashes",
            details=out / "details.json")  # fmt: skip
        return (out / "files.csv").read_bytes(), bool(read)

    return call


def test_nothing_new_gives_the_same_files_and_lines_without_reading(tmp_path, stage, capsys):
    table, was_read = stage()
    details, lines = (tmp_path / "out" / "details.json").read_bytes(), capsys.readouterr()
    assert was_read and table.count(b"\n") == 3
    (tmp_path / "out" / "details.json").unlink()
    assert stage() == (table, False)
    assert (tmp_path / "out" / "details.json").read_bytes() == details
    again = capsys.readouterr()
    assert again.out == lines.out and again.err == "scan: layout {label}/**\n" and lines.err.endswith(again.err)


def touch_back(root):
    """Other bytes of the same size at the same modification time: the time of the change of the inode tells."""
    path = root / "photos" / "a" / "1.png"
    before = path.stat()
    time.sleep(0.02)
    path.write_text("x/y.png")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        touch_back,
        lambda root: (root / "photos" / "a" / "3.png").write_text("new"),
        lambda root: (root / "photos" / "a" / "1.png").unlink(),
        lambda root: (root / "photos" / "a" / "1.png").rename(root / "photos" / "b" / "1.png"),
        lambda root: (root / "photos" / "c").mkdir(),
        lambda root: (root / "photos" / "a" / "dangling.png").symlink_to("nowhere"),
        lambda root: (root / "out" / "hashes.last" / "files.csv").write_text("damaged"),
        lambda root: (root / "out" / "hashes.last" / "result.json").write_text("[]"),
        lambda root: (root / "out" / "hashes.last" / "result.json").write_bytes(b"\xff"),
        lambda root: shutil.rmtree(root / "out" / "hashes.last"),
    ],
)
def test_every_change_is_read(tmp_path, stage, change):
    stage()
    change(tmp_path)
    table, was_read = stage()
    assert was_read
    shutil.rmtree(tmp_path / "out")
    assert stage() == (table, True)


def test_other_settings_and_another_class_map_are_read(tmp_path, stage):
    stage()
    (tmp_path / "map.csv").write_text("label,class\na,x\nb,y\n")
    assert b",x," in stage(class_map="map.csv")[0]
    assert stage(class_map="map.csv")[1] is False
    (tmp_path / "map.csv").write_text("label,class\na,z\nb,y\n")
    table, was_read = stage(class_map="map.csv")
    assert was_read and b",z," in table


def test_a_photo_that_cannot_be_read_is_tried_again(stage, monkeypatch):
    def fail(*_):
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(hash_cache.HashCache, "version", fail)
        assert b"unreadable" in stage()[0]
    table, was_read = stage()
    assert was_read and b"unreadable" not in table


def test_only_folders_that_were_quiet_for_a_while_have_a_key(tmp_path):
    folder = tmp_path / "photos" / "a"
    folder.mkdir(parents=True)
    (folder / "1.png").write_text("new")
    (tmp_path / "list.csv").write_text("path,label\n")
    assert last_run.key_of(SourceSettings(source=str(folder.parent))) == ""
    for source in ("s3://bucket/photos", str(tmp_path / "list.csv"), str(tmp_path / "photos.zip"), "nowhere"):
        assert last_run.key_of(SourceSettings(source=source)) == ""
