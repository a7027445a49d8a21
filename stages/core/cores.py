"""The processor cores that this process may use."""

import os


def available() -> int:
    """The number of cores by the process's affinity, and by OMP_NUM_THREADS if it is set.

    `taskset` and containers restrict the affinity, Ray and Slurm set the variable; `os.cpu_count` counts the cores of
    the machine.
    """
    present = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return min(present, int(granted)) if granted.isdigit() and int(granted) else present
