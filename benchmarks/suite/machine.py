"""The machine and the code that figures belong to."""

import platform
import subprocess
from datetime import UTC, datetime
from typing import Any

from benchmarks.suite.dvc_stages import ROOT
from stages.core import cores, system

_PACKAGES = (
    *("albumentations", "imagehash", "keras", "numpy", "onnxruntime", "opencv-python-headless", "openvino", "pandas"),
    *("pillow", "rembg", "simplejpeg", "tensorflow"),
)


def describe() -> dict[str, Any]:
    """CPU, instruction sets, threads and package versions: what figures have to share to stand in one table."""
    cpu, installed = system.this_cpu(), system.installed()
    return {
        "cpu": cpu["model"],
        "instruction_sets": cpu["features"],
        "threads": cores.available(),
        "python": platform.python_version(),
        "packages": {name: installed[name] for name in _PACKAGES if name in installed},
    }


def commit() -> str:
    """The commit of the code, with `-dirty` where tracked files other than results differ; empty without Git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*"]
    changed = ["git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results.json"]
    try:
        name, differs = (
            subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for words in (command, changed)
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{name}-dirty" if differs else name


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
