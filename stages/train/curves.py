"""Learning curves: metrics per epoch for DVC (reproducible files) and for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from dvclive import Live
from scmrepo.exceptions import SCMError
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.summary_v2 import histogram_pb

from stages.classifiers.engine import tf
from stages.core.errors import UserError


class _Live(Live):
    """DVCLive, which opens DVC's repository and never closes its databases."""

    def __init__(self, folder: Path) -> None:
        try:
            super().__init__(str(folder), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)
        except SCMError:
            self.close()
            raise

    def close(self) -> None:
        """Close the repository, if DVCLive opened one."""
        if self._dvc_repo is not None:
            self._dvc_repo.close()


class Curves:
    """Logs scalars per epoch to `tracked` (DVCLive: equal runs write equal bytes) and to `logs` (TensorBoard).

    Values that differ from run to run, such as speed, go to `logs` only. Raises UserError in a Git repository
    without a commit, where DVCLive cannot start.
    """

    def __init__(self, tracked: Path, logs: Path) -> None:
        try:
            self._live = _Live(tracked)
        except SCMError as error:
            raise UserError(
                f"{Path.cwd()}: expected a Git repository with a commit, found: {error}; run `git commit` once"
            ) from error
        # TensorBoard would draw the events of an interrupted run beside those of this one.
        for stale in logs.glob("events.*"):
            stale.unlink()
        self._writer = tf.summary.create_file_writer(str(logs))

    def __enter__(self) -> "Curves":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)
        self._live.close()
        self._writer.close()

    def log(self, epoch: int, metrics: Mapping[str, float], untracked: Mapping[str, float]) -> None:
        """Log the metrics of one epoch by name, such as `val/log_loss`; `untracked` ones go to TensorBoard only."""
        self._live.step = epoch
        for name, value in metrics.items():
            self._live.log_metric(name, value)
        with self._writer.as_default(step=epoch):
            for name, value in {**metrics, **untracked}.items():
                tf.summary.scalar(name, value)

    def log_histograms(self, epoch: int, weights: Mapping[str, np.ndarray]) -> None:
        """Log histograms of weights by name to TensorBoard: they show layers that die or diverge."""
        summary = Summary()
        for name, values in weights.items():
            # By NumPy: `tf.summary.histogram` took a second for the weights of a network.
            summary.MergeFrom(histogram_pb(name, values))
        with self._writer.as_default(step=epoch):
            tf.summary.experimental.write_raw_pb(summary.SerializeToString())
