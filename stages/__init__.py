"""The pipeline: a module a stage. What is imported after this package takes the same kernels on many CPUs.

NumPy, OpenCV (by IPP), OpenBLAS, and the oneDNN in TensorFlow and OpenVINO choose their kernels by the CPU that they
find, and each kernel rounds in its own way. Before they are imported they are told to do with AVX2, which servers have
had for ten years: so the sample's photos, their splits, boxes and masks keep their bytes on a wider CPU. Training does
not: TensorFlow differs in the last digits even so.
`STAGES_ARITHMETIC=native` takes the fastest kernels instead, where results need not be those of another machine.
"""

import os
from collections.abc import Mapping
from pathlib import Path

_CPU = Path("/proc/cpuinfo")
PORTABLE, NATIVE = "portable", "native"


class SettingError(ValueError):
    """An environment variable has a value that means nothing here."""


def arithmetic() -> str:
    """`portable`, or `native` where the environment asks for it. Raises SettingError when it asks for anything else."""
    wanted = os.environ.get("STAGES_ARITHMETIC") or PORTABLE
    if wanted not in (PORTABLE, NATIVE):
        raise SettingError(f"STAGES_ARITHMETIC: expected {PORTABLE} or {NATIVE} in the environment, found {wanted!r}")
    return wanted


def pins(flags: str, wanted: str) -> Mapping[str, str]:
    """The environment variables, each a library's own, for a CPU with these `flags` (of /proc/cpuinfo)."""
    present = flags.split()
    if "avx2" not in present:
        return {}
    # TensorFlow takes its Eigen kernels on a CPU without AVX-512, at two thirds of the speed.
    found = {"TF_ENABLE_ONEDNN_OPTS": "1"}
    if wanted == NATIVE:
        return found
    found |= {"ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell", "OPENCV_IPP": "avx2"}
    if "avx512f" in present:  # NumPy complains of a feature that it need not disable
        found |= {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR", "OPENCV_CPU_DISABLE": "AVX512-SKX"}
    return found


if _CPU.is_file():
    # A value that means nothing is refused where commands begin, on one line.
    for _name, _value in pins(_CPU.read_text(encoding="utf-8"), os.environ.get("STAGES_ARITHMETIC", "")).items():
        os.environ.setdefault(_name, _value)  # what the user has set stays
