"""Contenders timed side by side: every round runs each of them once, so that a busy moment slows all alike."""

import time
from collections.abc import Callable, Mapping

import pandas as pd

# Long enough for the idle threads of one contender to fall asleep before the next one begins.
_PAUSE = 0.5


def stopwatch(work: Callable[[], object]) -> Callable[[], float]:
    """Make `work` a contender: a call runs it once and returns the seconds that took."""

    def run() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return run


def interleaved(contenders: Mapping[str, Callable[[], float]], rounds: int) -> pd.DataFrame:
    """Seconds of each contender (columns) in each of `rounds` rounds (rows), after one round that does not count."""
    seconds = []
    for _ in range(rounds + 1):
        row = {}
        for name, run in contenders.items():
            time.sleep(_PAUSE)
            row[name] = run()
        seconds.append(row)
    return pd.DataFrame(seconds[1:], columns=list(contenders))


def compare(seconds: pd.DataFrame, n_items: int, reference: str) -> pd.DataFrame:
    """A row per contender: seconds per item in the median, best and worst round; times as fast as `reference`.

    The ratios are taken within each round, then their median, lowest and highest are given.
    """
    each = seconds / n_items
    ratios = seconds.rdiv(seconds[reference], axis=0)
    return pd.DataFrame(
        {
            "median s": each.median(),
            "best s": each.min(),
            "worst s": each.max(),
            "times as fast": ratios.median(),
            "lowest": ratios.min(),
            "highest": ratios.max(),
        }
    )


def show(table: pd.DataFrame, title: str) -> None:
    """Print a table of numbers under its title."""
    print(f"\n{title}\n{table.to_string(float_format=lambda value: f'{value:.4g}')}")
