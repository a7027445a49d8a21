"""How training went, epoch by epoch: for DVC (files that hold figures alone) and for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from dvclive import Live
from scmrepo.exceptions import SCMError

from stages.classifiers.engine import tf


class Curves:
    """Logs scalars per epoch to `tracked` (DVCLive: equal runs give equal bytes) and to `logs` (TensorBoard).

    Figures that differ from run to run, such as speed, belong to `logs` alone. Raises RuntimeError in a Git
    repository without a commit, which DVCLive cannot start in.
    """

    def __init__(self, tracked: Path, logs: Path) -> None:
        try:
            self._live = Live(str(tracked), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)
        except SCMError as error:
            raise RuntimeError(
                f"{Path.cwd()}: expected a Git repository with a commit, found: {error}; run `git commit` once"
            ) from error
        # What a broken run left there would be drawn beside the same epochs of this one.
        for stale in logs.glob("events.*"):
            stale.unlink()
        self._board = tf.summary.create_file_writer(str(logs))

    def __enter__(self) -> "Curves":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)
        self._board.close()

    def log(self, epoch: int, figures: Mapping[str, float], untracked: Mapping[str, float]) -> None:
        """Log the figures of one epoch by name, such as `val/log_loss`."""
        self._live.step = epoch
        for name, value in figures.items():
            self._live.log_metric(name, value)
        with self._board.as_default(step=epoch):
            for name, value in {**figures, **untracked}.items():
                tf.summary.scalar(name, value)

    def spread(self, epoch: int, weights: Mapping[str, np.ndarray]) -> None:
        """Log histograms of weights by name, for TensorBoard alone: layers that die or run away show there first."""
        with self._board.as_default(step=epoch):
            for name, values in weights.items():
                tf.summary.histogram(name, values)
