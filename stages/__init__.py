"""The pipeline: a package for each stage of dvc.yaml. Importing it restricts CPU kernels as params.yaml says.

NumPy, OpenCV (by IPP), OpenBLAS, and the oneDNN in TensorFlow and OpenVINO choose their kernels by the CPU that they
find, and each kernel rounds in its own way. Environment variables restrict NumPy and OpenCV to AVX2 before they are
imported, so that the sample's photos, their ids and splits have the same bytes on wider CPUs; it costs no time that
could be measured. With `runtime.reproducibility: bits` they restrict the others, too, so that boxes and masks have the
same bytes. Training does not: TensorFlow's own kernels depend on the sizes of the caches, too.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

_CPU = Path("/proc/cpuinfo")
BITS: Final = "bits"
METRICS: Final = "metrics"
DEFAULT: Final = METRICS
_OPTIONS = ("--params", "--model")
# Shorter words can mean other options, too.
_SHORTEST = len("--m")


def settings_path(arguments: Sequence[str]) -> Path:
    """The settings file of a command line: of `--params`, of the bundle of `--model` or `serve`, or ./params.yaml."""
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--") else [word])]
    # Options may be abbreviated.
    known = {name: value for word, value in pairwise(words) for name in _OPTIONS if _is_option(word, name)}
    if "--params" in known:
        return Path(known["--params"])
    # Of `serve`, the bundle is a word of its own.
    folders = words if "serve" in words[:2] else known.values()
    bundles = (Path(folder) / "params.yaml" for folder in folders)
    return next((path for path in bundles if path.is_file()), Path("params.yaml"))


def _is_option(word: str, name: str) -> bool:
    return len(word) > _SHORTEST and name.startswith(word)


def _read_reproducibility(path: Path) -> str:
    try:
        from ruamel.yaml import YAML, YAMLError
    except ModuleNotFoundError:  # the environment of GluonCV's export, which has no results of its own
        return BITS
    try:
        content = YAML(typ="safe").load(path)
        return BITS if content["runtime"]["reproducibility"] == BITS else DEFAULT
    except (OSError, ValueError, YAMLError, LookupError, TypeError):
        return DEFAULT  # whoever reads the settings names what is wrong with them


def kernel_variables(flags: str, wanted: str) -> Mapping[str, str]:
    """The environment variables, each a library's own, for a CPU with these `flags` (of /proc/cpuinfo)."""
    present = flags.split()
    if "avx2" not in present:
        return {}
    # TensorFlow takes its Eigen kernels on a CPU without AVX-512, at two thirds of the speed.
    variables = {"TF_ENABLE_ONEDNN_OPTS": "1", "OPENCV_IPP": "avx2"}
    if "avx512f" in present:  # NumPy warns of a feature that it need not disable
        variables |= {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR", "OPENCV_CPU_DISABLE": "AVX512-SKX"}
    if wanted == BITS:
        variables |= {"ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
    return variables


_reproducibility = _read_reproducibility(settings_path(sys.argv))


def reproducibility() -> str:
    """`bits` or `metrics`: what the settings said when this process imported the package."""
    return _reproducibility


# Arrow's own allocator keeps what is freed: with it, stages took up to a fifth more memory. It reads this once.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
if _CPU.is_file():
    for _name, _value in kernel_variables(_CPU.read_text(encoding="utf-8"), _reproducibility).items():
        os.environ.setdefault(_name, _value)  # what the user has set stays
