"""What a contender's function reports: figures of a round, or what it lacks."""

import json
import sys
from pathlib import Path
from typing import IO


class Missing(Exception):
    """A package or file that a contender needs is missing; the text says which."""


class Report:
    """What a contender's function gets: it calls it with the figures of a round, and returns to it for the next one."""

    def __init__(self, replies: IO[str], requests: IO[str]) -> None:
        self._replies, self._requests = replies, requests

    def __call__(self, seconds: float, items: int, peak: float | None = None) -> None:
        """Send the seconds of a round over `items` photos, then wait until another round is wanted.

        `peak` is the peak memory in MiB, if not that of this process. Raises SystemExit when no round is wanted.
        """
        peak = peak_mib() if peak is None else peak
        self.send({"seconds": seconds, "items": items, "peak_mib": peak})
        if self._requests.readline().strip() != "run":
            sys.exit(0)

    def send(self, message: dict[str, object]) -> None:
        """Send a line of JSON."""
        print(json.dumps(message), file=self._replies, flush=True)


def peak_mib() -> float:
    """The peak memory of this process in MiB. Unlike getrusage's figure, it does not start with that of the parent."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
