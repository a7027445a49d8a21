import itertools
import threading
import time

import pytest

from stages.core import batches


def test_results_come_in_the_order_of_the_keys_though_later_ones_are_faster():
    def slow_first(key):
        time.sleep(0.02 if key % 4 == 0 else 0)
        return key * key

    assert list(batches.ordered_thread_map(slow_first, range(12), 5)) == [(key, key * key) for key in range(12)]


@pytest.mark.parametrize("ahead", [1, 3, 50])
def test_no_key_and_fewer_keys_than_ahead(ahead):
    assert list(batches.ordered_thread_map(str, [], ahead)) == []
    assert list(batches.ordered_thread_map(str, [7], ahead)) == [(7, "7")]


def test_work_runs_ahead_by_no_more_than_the_limit_even_of_endless_keys():
    started, worst, lock = [], 0, threading.Lock()

    def work(key):
        with lock:
            started.append(key)
        return key

    results = batches.ordered_thread_map(work, itertools.count(), 4)
    for expected in range(20):
        assert next(results) == (expected, expected)
        time.sleep(0.001)
        with lock:
            worst = max(worst, len(started) - expected - 1)
    assert 1 <= worst <= 4
    results.close()


def test_more_threads_than_processors_wait_at_once():
    waiting = threading.Barrier(40, timeout=10)
    assert len(list(batches.ordered_thread_map(lambda _: waiting.wait(), range(40), 40, threads=40))) == 40


def test_an_error_passes_on_in_its_turn():
    def fail(key):
        if key == 2:
            raise OSError("broken 2")
        return key

    results = batches.ordered_thread_map(fail, range(5), 4)
    assert [next(results), next(results)] == [(0, 0), (1, 1)]
    with pytest.raises(OSError, match="broken 2"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_groups_hold_all_items_and_the_last_may_be_shorter():
    assert list(batches.batched(iter("abcdefg"), 3)) == [["a", "b", "c"], ["d", "e", "f"], ["g"]]
    assert list(batches.batched("abcd", 2)) == [["a", "b"], ["c", "d"]]
    assert list(batches.batched([], 2)) == []
