"""Section `runtime` of params.yaml: which machine's arithmetic results may depend on."""

from typing import Literal

from pydantic import Field

import stages
from stages.core import cores
from stages.core.settings import Count, Settings


class RuntimeSettings(Settings):
    """What results may depend on: the same figures as fast as this machine can, or the same bytes on many CPUs.

    `metrics` runs networks and training on all cores with the widest instructions that the CPU has; on another CPU,
    figures agree within a tolerance. `bits` restricts them to AVX2 and training to `threads` threads,
    so that a commit gives the same bytes wherever its CPU is of the same kind.
    """

    reproducibility: Literal["bits", "metrics"] = Field(
        stages.DEFAULT,
        description="`metrics`: all cores, widest instructions; `bits`: AVX2 and a fixed number of threads",
    )
    engine: Literal["local", "ray"] = Field(
        "local", description="where networks run: in the stage's process, or on the Ray cluster of `RAY_ADDRESS`"
    )
    cluster_timeout: Count = Field(
        120,
        description="with the engine `ray`: longest wait in seconds, first for the connection to the cluster, then "
        "from each result of a worker to the next one; after that the command ends with an error",
    )
    shares_photos: bool = Field(
        False, description="`true`: the cluster's workers read local photos by the same path; `false`: they are sent"
    )
    threads: Count = Field(2, description="threads of training under `bits`; another number gives other last digits")

    @property
    def n_threads(self) -> int:
        """The threads that TensorFlow works in: `threads` under `bits`, all cores that it may use under `metrics`."""
        return self.threads if self.reproducibility == "bits" else cores.available()
