"""Decisions about photos, each written to data/corrections.csv at once.

The file is read anew before each change, under a lock, and a change says which decisions it saw: so neither another
tab, nor another person, nor `git pull` is overwritten.
"""

import fcntl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from stages.core.errors import UserError
from stages.schemas import corrections

# Steps that can be undone, of all tabs together.
_MAX_STEPS = 1000


class StaleDecisionError(UserError):
    """A photo has other decisions than the page showed."""


class Decision(NamedTuple):
    """A kind of corrections.TOPICS and its value, empty but for `label` and `box`."""

    kind: str
    value: str = ""


class _Step(NamedTuple):
    tab: str
    image_id: str
    before: pd.DataFrame
    after: pd.DataFrame


class DecisionStore:
    """The decisions in the table at `path`, made by `who` (may be empty); `lock_path` is a file that keeps others out.

    Every method raises TableError where the table is damaged or has decisions that contradict each other.
    """

    def __init__(self, path: Path, lock_path: Path, who: str) -> None:
        self._path, self._lock_path, self._who = path, lock_path, who
        self._lock, self._steps = threading.Lock(), deque[_Step](maxlen=_MAX_STEPS)
        self._read_state: tuple[int, ...] | None = None
        self._frame = corrections.none()

    def read(self) -> pd.DataFrame:
        """All decisions, as corrections.read returns them; without a file there are none."""
        state = _state(self._path)
        if state != self._read_state:
            self._frame = corrections.none() if state == () else corrections.read(self._path)
            self._read_state = state
        return self._frame

    def of_photo(self, image_id: str) -> pd.DataFrame:
        """The decisions about a photo, one for each topic at most."""
        frame = self.read()
        return frame[frame["image_id"] == image_id].reset_index(drop=True)

    def decide(self, image_id: str, decision: Decision, expected: list[Decision], shown: str, tab: str) -> None:
        """Write a decision in place of one on the same topic.

        `expected` are the photo's decisions as its page showed them, `shown` why the photo was shown. Raises
        StaleDecisionError where others stand in the table by now.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = dict(zip(corrections.COLUMNS, (image_id, *decision, self._who, now, shown)))
        self._change(image_id, decision.kind, expected, tab, pd.DataFrame([row]))

    def remove(self, image_id: str, kind: str, expected: list[Decision], tab: str) -> None:
        """Remove the decision on the topic of `kind`. Raises StaleDecisionError as `decide` does."""
        self._change(image_id, kind, expected, tab, corrections.none())

    def undo(self, tab: str) -> str | None:
        """Take back the last change of a tab; return the photo's id, or None where there is no change.

        Raises StaleDecisionError where the photo's decisions have changed since; that change can then not be undone.
        """
        with self._locked():
            step = next((step for step in reversed(self._steps) if step.tab == tab), None)
            if step is None:
                return None
            others = deque((other for other in self._steps if other is not step), _MAX_STEPS)
            if _decisions(self.of_photo(step.image_id)) != _decisions(step.after):
                self._steps = others
                raise StaleDecisionError(
                    f"expected the last decision on {step.image_id}, found a later one; not undone"
                )
            self._write(step.image_id, step.before)
            # After the file: where it cannot be written, the step can be undone later.
            self._steps = others
            return step.image_id

    def _change(self, image_id: str, kind: str, expected: list[Decision], tab: str, added: pd.DataFrame) -> None:
        with self._locked():
            before = self.of_photo(image_id)
            if _decisions(before) != sorted(expected):
                found = ", ".join(" ".join(decision).strip() for decision in _decisions(before)) or "none"
                raise StaleDecisionError(f"expected the decisions that this page shows, found meanwhile: {found}")
            others = before[before["kind"].map(corrections.TOPICS) != corrections.TOPICS[kind]]
            after = pd.concat([others, added], ignore_index=True)
            self._write(image_id, after)
            self._steps.append(_Step(tab, image_id, before, after))

    def _write(self, image_id: str, rows: pd.DataFrame) -> None:
        frame = self.read()
        kept = frame[frame["image_id"] != image_id]
        corrections.write(self._path, pd.concat([kept, rows], ignore_index=True))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude other threads, and other processes of this machine."""
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._lock_path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _decisions(rows: pd.DataFrame) -> list[Decision]:
    return sorted(map(Decision, rows["kind"], rows["value"]))


def _state(path: Path) -> tuple[int, ...]:
    """What changes when a file does; empty for none."""
    try:
        info = path.stat()
    except FileNotFoundError:
        return ()
    return info.st_ino, info.st_mtime_ns, info.st_size
