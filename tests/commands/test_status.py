"""The stages that are not up to date, in a pipeline of three stages beside an optional one."""

import subprocess
import sys

import pytest

from stages.commands import stage_graph, status
from stages.commands.stage_graph import StageGraph
from stages.core.errors import UserError

# Of a library that DVC reads its index with.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")
PIPELINE = """
stages:
  join:
    cmd: cat first.txt second.txt > joined.txt
    deps: [first.txt, second.txt]
    outs: [joined.txt]
  first:
    cmd: cp params.yaml first.txt
    params: [depth, width]
    outs: [first.txt]
  second:
    cmd: cp input.txt second.txt
    deps: [input.txt]
    outs: [second.txt]
"""
OPTIONAL = """
stages:
  needed:
    cmd: cp ../kept.txt needed.txt
    deps: [../kept.txt]
    outs: [needed.txt]
  optional:
    cmd: cp ../kept.txt optional.txt
    deps: [../kept.txt]
    outs: [optional.txt]
"""


def dvc(*words):
    done = subprocess.run([sys.executable, "-m", "dvc", *words], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The pipeline in the working directory, run once; `second` needs one of two stages of networks/dvc.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "networks").mkdir()
    files = {
        "dvc.yaml": PIPELINE.replace("[input.txt]", "[input.txt, networks/needed.txt]"),
        "networks/dvc.yaml": OPTIONAL,
        "params.yaml": "depth: 1\nwidth: 2\n",
        **dict.fromkeys(("input.txt", "kept.txt"), "x\n"),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q"], check=True)
    dvc("init", "-q")
    dvc("repro", "-q", "dvc.yaml")
    return tmp_path


def printed(run, capsys):
    run(status)
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("project")
def test_networks_that_no_stage_needs_are_left_out(run, capsys):
    assert "networks/dvc.yaml:optional" in dvc("status")
    assert printed(run, capsys) == ["status: 4 of 4 stages are up to date"]


def test_a_changed_stage_and_those_after_it_have_one_line_each(project, run, capsys):
    (project / "params.yaml").write_text("depth: 3\nwidth: 4\n")
    (project / "kept.txt").write_text("y")
    lines = printed(run, capsys)
    assert "first: changed deps: depth (modified), width (modified)" in lines
    assert "networks/dvc.yaml:needed: changed deps: kept.txt (modified)" in lines
    assert lines[-1] == "status: 2 of 4 stages are up to date"
    (second,) = [line for line in lines if line.startswith("second: ")]
    assert second == "second: unchanged, but runs again if networks/dvc.yaml:needed gives other outputs"
    (join,) = [line for line in lines if line.startswith("join: ")]
    assert join.startswith("join: unchanged, but runs again if ") and len(lines) == 5
    assert lines.index(join) > lines.index(second)


def test_a_lost_output_is_named(project, run, capsys):
    (project / "joined.txt").unlink()
    lines = printed(run, capsys)
    assert lines == ["join: changed outs: joined.txt (deleted)", "status: 3 of 4 stages are up to date"]


def test_of_many_paths_some_are_named_and_the_others_counted():
    states = {f"{letter}.csv": "modified" for letter in "abcdef"}
    text = status.reasons([{"changed deps": states}, "changed command", {"changed outs": {"g": "not in cache"}}])
    assert text == (
        "changed deps: a.csv (modified), b.csv (modified), c.csv (modified), d.csv (modified) and 2 more; "
        "changed command; changed outs: g (not in cache)"
    )


def test_a_pipeline_that_dvc_cannot_read_is_one_line(project):
    (project / "dvc.yaml").write_text("stages: [")
    with pytest.raises(UserError, match=r"^expected a pipeline that DVC can read, found: .*dvc\.yaml"):
        stage_graph.read(status.TARGETS)


def test_outside_a_dvc_project_the_error_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="not inside of a DVC repository"):
        stage_graph.read(status.TARGETS)


def test_a_stage_that_runs_each_time_is_no_change():
    upstream = {"scan": set(), "ingest": {"scan"}, "report": {"scan", "ingest"}}
    assert status.lines(StageGraph(upstream, {}, ["scan"])) == []
    assert status.lines(StageGraph(upstream, {"ingest": ["changed command"]}, ["scan"])) == [
        "ingest: changed command",
        "report: unchanged, but runs again if ingest gives other outputs",
    ]
