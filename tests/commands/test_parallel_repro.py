"""Stages side by side: the schedule by hand, and a pipeline of DVC whose two middle stages wait for each other."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stages.commands import parallel_repro
from stages.commands.parallel_repro import Schedule
from stages.core.programs import ProgramError

# Of a library that DVC reads its index with.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")
# a -> b -> (c -> e, d) -> f, where f needs all.
DIAMOND = {
    "a": set(),
    "b": {"a"},
    "c": {"a", "b"},
    "d": {"a", "b"},
    "e": {"a", "b", "c"},
    "f": {"a", "b", "c", "d", "e"},
}
# `left` and `right` each end only if the other has started: one after the other they would fail.
MEETING = "sh -c 'touch {own}.started; for i in $(seq 300); do test -e {other}.started && break; sleep 0.1; done; "
PIPELINE = f"""
stages:
  first:
    cmd: echo looking; cp input.txt first.txt
    deps: [input.txt]
    outs: [first.txt]
    always_changed: true
  left:
    cmd: {MEETING.format(own="left", other="right")} test -e right.started && cp first.txt left.txt'
    deps: [first.txt]
    outs: [left.txt]
  right:
    cmd: {MEETING.format(own="right", other="left")} test -e left.started && cp first.txt right.txt'
    deps: [first.txt]
    outs: [right.txt]
  joined:
    cmd: printf 'half\\rwhole\\n'; cat left.txt right.txt > joined.txt
    deps: [left.txt, right.txt]
    outs: [joined.txt]
"""


def ignore(*_):
    """Take no note of a change."""


def test_chains_end_where_stages_can_run_side_by_side():
    schedule = Schedule(DIAMOND)
    assert schedule.take() == ["a", "b"]
    assert schedule.take() == []
    schedule.finish(["a", "b"])
    assert schedule.take() == ["c", "e"]
    assert schedule.take() == ["d"]
    assert schedule.take() == []
    schedule.finish(["c", "e"])
    assert schedule.take() == []
    schedule.finish(["d"])
    assert schedule.take() == ["f"]
    assert schedule.take() == []


def test_at_most_the_given_number_of_chains_run_at_a_time_and_each_stage_runs_once():
    upstream = {name: set() for name in "abcdef"} | {"end": set("abcdef")}
    lock, running, peak, done = threading.Lock(), set(), [], []
    together = threading.Barrier(2, timeout=60)

    def run_chain(chain):
        with lock:
            running.update(chain)
            peak.append(len(running))
        if chain != ["end"]:
            together.wait()
        with lock:
            running.difference_update(chain)
            done.extend(chain)

    states = []
    assert parallel_repro.run_all(upstream, 2, run_chain, lambda chains, n: states.append((len(chains), n))) == []
    assert sorted(done) == ["a", "b", "c", "d", "e", "end", "f"] and done[-1] == "end"
    assert max(peak) == 2 and states[-1] == (0, 7) and max(n for n, _ in states) == 2


def test_after_an_error_what_runs_ends_and_nothing_else_starts():
    started, is_failed = [], threading.Event()

    def run_chain(chain):
        started.append(chain)
        if chain == ["d"]:
            is_failed.set()
            raise ProgramError("broken")
        if "c" in chain:
            assert is_failed.wait(60)

    errors = parallel_repro.run_all(DIAMOND, 2, run_chain, ignore)
    assert list(map(str, errors)) == ["broken"]
    assert started == [["a", "b"], ["c", "e"], ["d"]]


def test_another_error_is_raised():
    def run_chain(*_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        parallel_repro.run_all(DIAMOND, 2, run_chain, ignore)


class Bar:
    """A bar that keeps what it shows."""

    n = 0

    def __init__(self):
        self.shown, self.lines = [], []

    def set_postfix_str(self, text):
        self.shown.append((self.n, text))

    def write(self, line, file):
        assert file is sys.stderr
        self.lines.append(line)


def test_the_display_names_what_runs_with_the_share_that_is_done(monkeypatch):
    bar = Bar()
    display = parallel_repro.Display(bar)

    def played(*_, on_line, on_state):
        on_line("Running stage 'a':")
        on_state("a:  10%|#    | 1/10")
        on_line("a: 100%|#####| 10/10")
        on_line("Running stage 'b':")
        on_state("not a bar")
        on_state("b:  20%|##   | 2/10")
        on_line("Use `dvc push` to send your updates to remote storage.")

    monkeypatch.setattr(parallel_repro.programs, "run_streamed", played)
    display.on_change([["a", "b"]], 0)
    display.run(["a", "b"])
    display.on_change([], 2)
    assert bar.shown == [(0, ""), (0, "a 10%"), (0, "b 20%"), (2, "")]
    assert bar.lines == ["a | Running stage 'a':", "a | a: 100%|#####| 10/10", "b | Running stage 'b':"]


@pytest.mark.parametrize(
    ("n_cores", "gib", "expected"), [(1, 64, 2), (2, 64, 3), (8, 64, 9), (8, 9, 2), (2, 1, 1), (16, 68, 17)]
)
def test_jobs_share_cores_and_memory(n_cores, gib, expected):
    assert parallel_repro.default_jobs(n_cores, gib * 2**30) == expected


@pytest.fixture
def project(tmp_path, monkeypatch):
    """PIPELINE in the working directory, not run yet."""
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(PIPELINE)
    Path("input.txt").write_text("x\n")
    for words in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(words, check=True)


def repro(monkeypatch, capfd, *words):
    monkeypatch.setattr(sys, "argv", ["parallel_repro", *words])
    with pytest.raises(SystemExit) as caught:
        parallel_repro.main()
    captured = capfd.readouterr()
    return caught.value.code, captured.out, captured.err


@pytest.mark.usefixtures("project")
def test_a_pipeline_runs_side_by_side_then_has_nothing_to_do_then_only_what_changed(monkeypatch, capfd):
    status, out, err = repro(monkeypatch, capfd, "--jobs", "2")
    assert status == 0 and Path("joined.txt").read_text() == "x\nx\n"
    assert out.splitlines()[-1] == "parallel_repro: 4 stages, 0 up to date, 0 failed, 2 jobs"
    assert "left | Running stage 'left':" in err and "right | Running stage 'right':" in err
    assert "parallel_repro: 0 of 4 stages" in err and "parallel_repro: 4 of 4 stages" in err
    assert "joined | whole" in err and "joined | half" not in err and "first | looking" in err
    status, out, err = repro(monkeypatch, capfd, "--jobs", "2")
    assert (
        status == 0
        and "looking" in out
        and out.splitlines()[-1] == "parallel_repro: 0 stages, 4 up to date, 0 failed, 2 jobs"
    )
    Path("joined.txt").unlink()
    status, out, err = repro(monkeypatch, capfd, "joined", "--jobs", "2")
    assert status == 0 and Path("joined.txt").read_text() == "x\nx\n"
    assert out.splitlines()[-1] == "parallel_repro: 1 stages, 3 up to date, 0 failed, 2 jobs"


@pytest.mark.usefixtures("project")
def test_less_than_one_job_is_refused(monkeypatch, capfd):
    status, _, err = repro(monkeypatch, capfd, "--jobs", "0")
    assert status == 2 and "--jobs: expected 1 or more, found 0" in err


@pytest.mark.usefixtures("project")
def test_a_failed_stage_is_named_and_dvc_repro_agrees_with_what_was_done(monkeypatch, capfd):
    Path("dvc.yaml").write_text(PIPELINE.replace("cat left.txt", "cat nowhere.txt"))
    status, out, err = repro(monkeypatch, capfd, "--jobs", "2")
    assert status == 1 and out.splitlines()[-1].endswith("1 failed, 2 jobs")
    assert "joined | cat: nowhere.txt" in err and "parallel_repro: `python" in err
    done = subprocess.run([sys.executable, "-m", "dvc", "status", "left", "right"], capture_output=True, text=True)
    assert "up to date" in done.stdout
