"""Decisions on disk: two tabs, files changed meanwhile, undo, kills."""

import errno
import multiprocessing
import os
import signal
import threading
import time

import pytest

from stages.commands.reviewing.decisions import Decision, DecisionStore, StaleDecisionError
from stages.core import atomic
from stages.core.errors import TableError
from stages.schemas import corrections

ONE, TWO = "1" * 16, "2" * 16
HEADER = ",".join(corrections.COLUMNS)


def store(folder, who="Ann"):
    return DecisionStore(folder / "corrections.csv", folder / "lock", who)


def decided(folder):
    """What stands in the file: id, kind and value of each decision."""
    frame = corrections.read(folder / "corrections.csv")
    return [tuple(row) for row in frame[["image_id", "kind", "value"]].to_numpy()]


def test_without_a_file_there_are_no_decisions_and_none_is_written(tmp_path):
    assert store(tmp_path).read().empty and store(tmp_path).undo("a") is None
    assert not (tmp_path / "corrections.csv").exists()


def test_a_decision_is_written_with_who_when_and_why(tmp_path):
    store(tmp_path).decide(ONE, Decision("label", "sedan"), [], "label_issue;outlier", "a")
    (row,) = corrections.read(tmp_path / "corrections.csv").to_dict("records")
    assert (row["image_id"], row["kind"], row["value"], row["who"]) == (ONE, "label", "sedan", "Ann")
    assert row["shown"] == "label_issue;outlier" and row["when"].endswith("+00:00")


def test_a_decision_replaces_one_of_its_topic_and_no_other(tmp_path):
    decisions = store(tmp_path)
    decisions.decide(ONE, Decision("label", "sedan"), [], "", "a")
    decisions.decide(ONE, Decision("box", "1 2 30 40"), [Decision("label", "sedan")], "", "a")
    decisions.decide(TWO, Decision("no_mask"), [], "", "a")
    decisions.decide(ONE, Decision("drop"), [Decision("label", "sedan"), Decision("box", "1 2 30 40")], "", "a")
    assert decided(tmp_path) == [(ONE, "box", "1 2 30 40"), (ONE, "drop", ""), (TWO, "no_mask", "")]
    decisions.remove(ONE, "not_a_car", [Decision("drop"), Decision("box", "1 2 30 40")], "a")
    assert decided(tmp_path) == [(ONE, "box", "1 2 30 40"), (TWO, "no_mask", "")]


def test_undo_goes_back_step_by_step_each_tab_its_own(tmp_path):
    decisions = store(tmp_path)
    decisions.decide(ONE, Decision("label", "sedan"), [], "", "a")
    first = (tmp_path / "corrections.csv").read_bytes()
    decisions.decide(TWO, Decision("drop"), [], "", "b")
    decisions.decide(ONE, Decision("not_a_car"), [Decision("label", "sedan")], "", "a")
    assert decisions.undo("a") == ONE and decided(tmp_path) == [(ONE, "label", "sedan"), (TWO, "drop", "")]
    assert decisions.undo("b") == TWO and (tmp_path / "corrections.csv").read_bytes() == first
    assert decisions.undo("a") == ONE and decisions.undo("a") is None and decided(tmp_path) == []


def test_a_tab_that_saw_other_decisions_does_not_overwrite_them(tmp_path):
    decisions = store(tmp_path)
    decisions.decide(ONE, Decision("label", "sedan"), [], "", "a")
    with pytest.raises(StaleDecisionError, match="label sedan"):
        decisions.decide(ONE, Decision("drop"), [], "", "b")
    decisions.decide(ONE, Decision("drop"), [Decision("label", "sedan")], "", "b")
    with pytest.raises(StaleDecisionError, match="not undone"):
        decisions.undo("a")
    assert decided(tmp_path) == [(ONE, "drop", "")] and decisions.undo("a") is None


def test_a_file_changed_on_disk_is_read_anew(tmp_path):
    decisions = store(tmp_path)
    decisions.decide(ONE, Decision("drop"), [], "", "a")
    # As after `git pull`: another person's decisions.
    rows = (tmp_path / "corrections.csv").read_text() + f"{TWO},label,van,Ben,2024-01-01T00:00:00+00:00,\n"
    atomic.write_text(tmp_path / "corrections.csv", rows)
    assert decisions.of_photo(TWO)["who"].tolist() == ["Ben"]
    decisions.decide(ONE, Decision("not_a_car"), [Decision("drop")], "", "a")
    assert decided(tmp_path) == [(ONE, "not_a_car", ""), (TWO, "label", "van")]
    (tmp_path / "corrections.csv").unlink()
    assert decisions.read().empty


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"{ONE},label,van,,,", f"{ONE},drop,,,,"], "expected one decision"),
        (["<<<<<<< HEAD,,,,,", f"{ONE},drop,,,,"], "without markers"),
        ([f"{ONE},label,,,,"], "the class of a `label`"),
    ],
)
def test_a_file_with_a_conflict_is_refused_and_stays(tmp_path, lines, expected):
    (tmp_path / "corrections.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    before = (tmp_path / "corrections.csv").read_bytes()
    with pytest.raises(TableError, match=expected):
        store(tmp_path).decide(TWO, Decision("drop"), [], "", "a")
    assert (tmp_path / "corrections.csv").read_bytes() == before


def test_threads_lose_no_decision(tmp_path):
    decisions = store(tmp_path)

    def decide(number):
        for other in range(5):
            decisions.decide(f"{number}{other}".rjust(16, "0"), Decision("drop"), [], "", str(number))

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decided(tmp_path)) == 20


def decide_for_ever(folder, first):
    decisions = store(folder)
    for number in range(first, 10**6):
        decisions.decide(f"{number:016d}", Decision("drop"), [], "", "a")


def test_processes_that_are_killed_leave_whole_files_and_no_decision_of_the_other_is_lost(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=decide_for_ever, args=(tmp_path, first)) for first in (0, 500_000)]
    for process in processes:
        process.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not (tmp_path / "corrections.csv").exists() or len(decided(tmp_path)) < 40):
        time.sleep(0.05)
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    numbers = [int(image_id) for image_id, _, _ in decided(tmp_path)]
    assert len(numbers) >= 40
    for first in (0, 500_000):  # each wrote its own in order: without a gap none was lost
        own = [number for number in numbers if first <= number < first + 500_000]
        assert own == list(range(first, first + len(own)))
    store(tmp_path).decide(ONE, Decision("drop"), [], "", "a")
    assert (ONE, "drop", "") in decided(tmp_path)


def test_an_undo_that_cannot_be_written_can_be_repeated(tmp_path, monkeypatch):
    decisions = store(tmp_path)
    decisions.decide(ONE, Decision("label", "sedan"), [], "", "a")
    with monkeypatch.context() as patched:
        patched.setattr(corrections, "write", full_disk)
        with pytest.raises(OSError, match="No space"):
            decisions.undo("a")
    assert decided(tmp_path) == [(ONE, "label", "sedan")] and decisions.undo("a") == ONE and decided(tmp_path) == []


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
