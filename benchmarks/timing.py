"""Time several contenders: every round runs each of them once, so that a busy machine slows all equally."""

import time
from collections.abc import Callable, Mapping

import pandas as pd

# Long enough for the idle threads of one contender to sleep before the next one starts.
_PAUSE = 0.5


def stopwatch(work: Callable[[], object]) -> Callable[[], float]:
    """Make a contender of `work`: a call runs it once and returns the seconds."""

    def run() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return run


def interleaved(contenders: Mapping[str, Callable[[], float]], rounds: int) -> pd.DataFrame:
    """Seconds of each contender (columns) in each of `rounds` rounds (rows), after one warm-up round."""
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

    The ratios are taken within each round; their median, lowest and highest are returned.
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
