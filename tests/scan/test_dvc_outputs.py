import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dvc.repo import Repo

from stages.core import command
from stages.core.programs import ProgramError
from stages.scan import dvc_outputs

# DVC's own code warns.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

PIPELINE = """
stages:
  render:
    cmd: mkdir -p made/photos/bus && echo photo > made/photos/bus/1.jpg
    outs: [made/photos]
  broken:
    cmd: exit 3
    outs: [other]
"""


def dvc(*words):
    subprocess.run(["dvc", *words], check=True, capture_output=True, env=command.environment())


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A DVC project whose stage `render` writes made/photos; the stage `broken` fails."""
    monkeypatch.chdir(tmp_path)
    dvc("init", "--no-scm", "--quiet")
    Path("dvc.yaml").write_text(PIPELINE)
    Path("own").mkdir()
    Path("own/1.jpg").write_text("photo")
    dvc("add", "--quiet", "own")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("made/photos", ["render"]),
        ("made/photos/", ["render"]),
        ("./made/photos", ["render"]),
        ("made/photos/bus", ["render"]),
        ("made/photos/list.csv", ["render"]),
        ("made/photos_2", []),
        ("made", []),
        ("nowhere", []),
        ("own", []),
        (".", []),
    ],
)
def test_the_stages_that_write_a_path_are_those_of_it_or_a_folder_above(project, path, expected):
    assert dvc_outputs.stages_that_write(Path(path)) == expected
    assert dvc_outputs.stages_that_write(project / path) == expected


@pytest.mark.usefixtures("project")
def test_a_lock_file_that_another_process_is_writing_is_waited_for():
    dvc("repro", "--quiet", "render")
    lock = Path("dvc.lock")
    content = lock.read_bytes()
    with Repo() as other, ThreadPoolExecutor() as pool:
        with other.lock:
            lock.write_bytes(b"")
            found = pool.submit(dvc_outputs.stages_that_write, Path("made/photos"))
            time.sleep(0.5)
            lock.write_bytes(content)
        assert found.result() == []


def test_outside_a_repository_no_stage_writes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dvc_outputs.stages_that_write(Path("photos")) == []
    dvc_outputs.reproduce("photos")


@pytest.mark.parametrize("source", ["made/photos", "file://{0}/made/photos", "{0}/made/photos/bus"])
def test_a_source_that_a_stage_writes_is_made(project, source):
    dvc_outputs.reproduce(source.format(project))
    assert Path("made/photos/bus/1.jpg").read_text() == "photo\n"
    # Up to date: nothing is to be run again.
    assert dvc_outputs.stages_that_write(Path("made/photos")) == []


@pytest.mark.parametrize("source", ["s3://made/photos", "memory://made/photos", "own", "nowhere"])
@pytest.mark.usefixtures("project")
def test_other_sources_run_nothing(source):
    dvc_outputs.reproduce(source)
    assert not Path("made").exists() and Path("own/1.jpg").is_file()


@pytest.mark.usefixtures("project")
def test_a_stage_that_fails_is_one_line():
    with pytest.raises(ProgramError, match="repro --quiet broken`: expected exit status 0, found 255"):
        dvc_outputs.reproduce("other")
