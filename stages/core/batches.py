"""Ordered processing in threads, and batches; memory does not grow with the number of items."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

from stages.core import cores

# Rows of a table that become Python values at once: these take several times its memory.
ROWS_AT_ONCE: Final = 1000

Key = TypeVar("Key")
Value = TypeVar("Value")


def ordered_thread_map(
    function: Callable[[Key], Value], keys: Iterable[Key], ahead: int, threads: int | None = None
) -> Iterator[tuple[Key, Value]]:
    """Yield `(key, function(key))` in the order of `keys`, computed in threads for at most `ahead` keys at once.

    OpenCV, Pillow and the networks release Python's global lock, so threads are enough. There are as many threads as
    cores, or `threads` for a function that mostly waits, such as for a server.
    """
    remaining = iter(keys)
    with ThreadPoolExecutor(threads or cores.available()) as pool:
        waiting: deque[tuple[Key, Future[Value]]] = deque()
        for key in islice(remaining, ahead):
            waiting.append((key, pool.submit(function, key)))
        while waiting:
            key, future = waiting.popleft()
            for following in islice(remaining, 1):
                waiting.append((following, pool.submit(function, following)))
            yield key, future.result()


def batched(items: Iterable[Value], size: int) -> Iterator[list[Value]]:
    """Yield lists of `size` consecutive items; the last may be shorter."""
    remaining = iter(items)
    while group := list(islice(remaining, size)):
        yield group
