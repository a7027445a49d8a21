"""The same bits on many CPUs: what the libraries are told before they are imported, and that they listen."""

import os
import subprocess
import sys

import pytest

import stages
from stages.core import system

NARROW, WIDE = "fpu avx2 fma", "fpu avx2 fma avx512f avx512_bf16"
# Photos of the sample that differ in a few pixels' last bits between kernels for AVX2 and for AVX-512; the hashes were
# taken on a CPU that has none of the latter.
DRAW = """
import hashlib
from pathlib import Path
from stages.core import params
from stages.sample.renderer import sample
from stages.sample.settings import SampleParams
settings = params.read(Path("params.yaml"), "sample", SampleParams)
for name in ("compact", "coupe"):
    number = {"compact": 14, "coupe": 26}[name]
    print(hashlib.md5(sample.make(sample.RenderTask(name, number, None), settings).photo).hexdigest())
"""
DRAWN = ["b6634cb4a94b73a3a6645a38df7b641a", "8b37cf22522ea4ed4240389a35b67c97"]


def started(code, **variables):
    """What a new interpreter prints, with these environment variables beside those that nothing has been told by."""
    told = stages.pins(WIDE, stages.PORTABLE)
    kept = {name: value for name, value in os.environ.items() if name not in told}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**kept, **variables}, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_wide_cpu_is_held_to_avx2_and_a_narrow_one_told_of_nothing_that_it_lacks():
    wide, narrow = stages.pins(WIDE, stages.PORTABLE), stages.pins(NARROW, stages.PORTABLE)
    assert wide["ONEDNN_MAX_CPU_ISA"] == narrow["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert "X86_V4" in wide["NPY_DISABLE_CPU_FEATURES"] and "NPY_DISABLE_CPU_FEATURES" not in narrow
    assert set(narrow) < set(wide)


@pytest.mark.parametrize("flags", ["fpu sse4_2", "", "fp asimd"])
def test_other_cpus_are_told_nothing(flags):
    assert not stages.pins(flags, stages.PORTABLE) and not stages.pins(flags, stages.NATIVE)


def test_native_leaves_every_kernel_to_its_library():
    assert set(stages.pins(WIDE, stages.NATIVE)) == {"TF_ENABLE_ONEDNN_OPTS"}


def test_what_the_user_has_set_stays():
    code = "import os, stages; print(os.environ.get('OPENBLAS_CORETYPE'), os.environ.get('ONEDNN_MAX_CPU_ISA'))"
    held = "AVX2" if "avx2" in system.this_cpu()["features"] else "None"
    assert started(code, OPENBLAS_CORETYPE="Zen") == ["Zen", held]
    assert started(code, OPENBLAS_CORETYPE="Zen", STAGES_ARITHMETIC="native") == ["Zen", "None"]


@pytest.mark.skipif("avx2" not in system.this_cpu()["features"], reason="this CPU has no AVX2")
def test_the_photos_of_the_sample_have_the_bytes_that_another_cpu_gave_them():
    assert started(DRAW) == DRAWN
