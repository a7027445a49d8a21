"""The processor cores that this process may use."""

import os


def available() -> int:
    """The number of cores by the process's affinity, which `taskset`, containers and cluster managers restrict.

    `os.cpu_count` counts those of the machine.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
