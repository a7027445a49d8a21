"""The same bits on many CPUs: kernels are restricted before the libraries are imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import stages
from stages.core import system
from stages.core.runtime_settings import RuntimeSettings

ROOT = Path(__file__).resolve().parents[1]
NARROW, WIDE = "fpu avx2 fma", "fpu avx2 fma avx512f avx512_bf16"
# Photos of the sample whose last bits differ between kernels for AVX2 and for AVX-512; the hashes are of a CPU without
# AVX-512.
RENDER = """
import hashlib
from pathlib import Path
from stages.core import settings as reader
from stages.sample.renderer import sample
from stages.sample.settings import SampleSettings
settings = reader.read(Path("params.yaml"), "sample", SampleSettings)
for name in ("compact", "coupe"):
    number = {"compact": 14, "coupe": 26}[name]
    print(hashlib.md5(sample.make(sample.RenderTask(name, number, None), settings).photo).hexdigest())
"""
HASHES = ["b6634cb4a94b73a3a6645a38df7b641a", "8b37cf22522ea4ed4240389a35b67c97"]


def run_python(code, folder=None, *arguments, **variables):
    """The output of a new interpreter in `folder`, with these variables and none that restrict kernels."""
    restricting = stages.kernel_variables(WIDE, stages.BITS)
    kept = {name: value for name, value in os.environ.items() if name not in restricting}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**kept, "PYTHONPATH": str(ROOT), **variables},
        cwd=folder or ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_cpu_with_avx512_is_restricted_to_avx2():
    wide, narrow = stages.kernel_variables(WIDE, stages.BITS), stages.kernel_variables(NARROW, stages.BITS)
    assert wide["ONEDNN_MAX_CPU_ISA"] == narrow["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert "X86_V4" in wide["NPY_DISABLE_CPU_FEATURES"] and "NPY_DISABLE_CPU_FEATURES" not in narrow
    assert set(narrow) < set(wide)


@pytest.mark.parametrize("flags", ["fpu sse4_2", "", "fp asimd"])
def test_other_cpus_are_not_restricted(flags):
    assert not stages.kernel_variables(flags, stages.BITS) and not stages.kernel_variables(flags, stages.METRICS)


def test_arrow_frees_what_it_does_not_need(monkeypatch):
    code = "import stages, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL")
    assert run_python(code) == ["system"]
    assert run_python(code, ARROW_DEFAULT_MEMORY_POOL="mimalloc") == ["mimalloc"]


def test_metrics_restricts_the_kernels_of_images_alone():
    free = stages.kernel_variables(WIDE, stages.METRICS)
    assert "ONEDNN_MAX_CPU_ISA" not in free and "OPENBLAS_CORETYPE" not in free
    assert free.items() < stages.kernel_variables(WIDE, stages.BITS).items()
    assert {"NPY_DISABLE_CPU_FEATURES", "OPENCV_CPU_DISABLE", "OPENCV_IPP"} < set(free)


PRINT = "import os, stages; print(stages.reproducibility(), os.environ.get('ONEDNN_MAX_CPU_ISA'))"
RESTRICTED = "AVX2" if "avx2" in system.this_cpu()["features"] else "None"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runtime: {reproducibility: metrics}\n", ["metrics", "None"]),
        ("runtime: {reproducibility: bits}\n", ["bits", RESTRICTED]),
        ("runtime: {reproducibility: metric}\n", ["metrics", "None"]),
        ("train: {}\n", ["metrics", "None"]),
        ("- a list\n", ["metrics", "None"]),
        ("runtime: {reproducibility\n", ["metrics", "None"]),
        (None, ["metrics", "None"]),
    ],
)
def test_the_settings_are_read_before_any_library_is_imported(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "params.yaml").write_text(text)
    assert run_python(PRINT, tmp_path) == expected


def test_settings_without_the_key_have_one_default():
    assert RuntimeSettings().reproducibility == stages.DEFAULT


def test_the_settings_are_those_of_the_command_line(tmp_path):
    (tmp_path / "other.yaml").write_text("runtime: {reproducibility: bits}\n")
    assert run_python(PRINT, None, "--params", str(tmp_path / "other.yaml")) == ["bits", RESTRICTED]
    (tmp_path / "params.yaml").write_text("runtime: {reproducibility: bits}\n")
    assert run_python(PRINT, None, "photo.jpg", "--model", str(tmp_path)) == ["bits", RESTRICTED]
    assert run_python(PRINT, None, "--model", "lite0") == ["metrics", "None"]


def test_variables_of_the_user_are_kept():
    code = "import os, stages; print(os.environ.get('OPENCV_IPP'), os.environ.get('ONEDNN_MAX_CPU_ISA'))"
    assert run_python(code, None, OPENCV_IPP="sse42", ONEDNN_MAX_CPU_ISA="AVX") == ["sse42", "AVX"]


@pytest.mark.skipif("avx2" not in system.this_cpu()["features"], reason="this CPU has no AVX2")
def test_photos_of_the_sample_have_the_bytes_of_another_cpu():
    assert run_python(RENDER) == HASHES


def test_the_settings_are_those_of_the_command_line_or_the_bundle(tmp_path, monkeypatch):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "params.yaml").touch()
    monkeypatch.chdir(tmp_path)
    own = bundle / "params.yaml"
    for words in (
        ["predict", "x.jpg", "--model", str(bundle)],
        ["predict", f"--model={bundle}", "x.jpg"],
        ["predict", "x.jpg", "--mod", str(bundle)],
        [f"--para={own}", "train"],
        ["serve", str(bundle)],
        ["serve", "--port", "0", str(bundle)],
        ["stages/commands/serve.py", "serve", str(bundle)],
    ):
        assert stages.settings_path(words) == own, words
    assert stages.settings_path(["train", f"--params={own}"]) == own == stages.settings_path(["--params", str(own)])
    # A folder of photos is no bundle, and a bundle without settings has none.
    for words in (["predict", str(bundle)], ["predict", "--model", str(tmp_path)], ["serve", str(tmp_path)], []):
        assert stages.settings_path(words) == Path("params.yaml"), words
