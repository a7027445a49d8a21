from importlib import metadata
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from stages.core import progress, system

LOCK = """absl-py==2.5.1 \\
    --hash=sha256:00 \\
    --hash=sha256:01
Typing_Extensions==4.16.0 ; python_version >= "3.0" \\
    --hash=sha256:02
colorama==0.4.6 ; sys_platform == "win32" \\
    --hash=sha256:03
"""
CPUINFO = """processor\t: 0
vendor_id\t: Maker
cpu family\t: 6
model\t\t: 9
model name\t: Fast 9000
flags\t\t: fpu avx2 avx512f fma

processor\t: 1
flags\t\t: fpu
"""


def test_a_lock_file_is_read_for_this_machine(tmp_path):
    (tmp_path / "lock").write_text(LOCK)
    assert system.locked(tmp_path / "lock") == {"absl-py": "2.5.1", "typing-extensions": "4.16.0"}


def test_drift_lists_packages_of_another_version_and_missing_ones_and_no_others():
    wanted = {"a": "1", "b": "2", "c": "3"}
    assert system.drift(wanted, {"a": "1", "b": "2.0", "x": "9"}) == ["b 2.0, locked 2", "c missing, locked 3"]
    assert system.drift(wanted, wanted) == system.drift({}, wanted) == []


def test_the_projects_own_lock_file_can_be_read():
    packages = system.locked(Path(__file__).parents[2] / "requirements.lock")
    assert len(packages) > 100 and {"tensorflow", "opencv-python-headless", "numpy"} <= set(packages)
    found = {canonicalize_name(item.metadata["Name"]): item.version for item in metadata.distributions()}
    assert system.installed() == found and {"numpy", "dvc-data"} <= set(found)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_stage_warns_of_other_versions(tmp_path, monkeypatch, capsys, is_there):
    monkeypatch.chdir(tmp_path)
    if is_there:
        Path("requirements.lock").write_text(f"numpy=={metadata.version('numpy')}\npandas==0.0.1\n")
    progress.summary("detect", photos=3, with_boxes=2)
    captured = capsys.readouterr()
    assert captured.out == "detect: 3 photos, 2 with boxes\n"
    version = metadata.version("pandas")
    assert (f"detect: 1 packages differ from requirements.lock (pandas {version}, locked 0.0.1)" in captured.err) is (
        is_there
    )


def test_a_cpu_is_described_by_model_and_relevant_features():
    assert system.cpu(CPUINFO) | {"machine": ""} == {
        "machine": "", "vendor": "Maker", "family": "6 9", "model": "Fast 9000", "features": ["avx2", "fma", "avx512f"],
    }  # fmt: skip
    assert system.cpu("")["features"] == [] and system.cpu("")["model"]
    assert set(system.this_cpu()) == {"machine", "vendor", "family", "model", "features"}


def test_cpus_of_one_vendor_restricted_to_avx2_have_the_same_kernels_and_no_others_have():
    wide = {"cpu": system.cpu(CPUINFO), "reproducibility": "bits", "threads": 2}
    narrow = {**wide, "cpu": {**wide["cpu"], "family": "6 7", "features": ["avx2", "fma"]}}
    assert system.match_hardware(wide, wide) == "same" and system.match_hardware(wide, narrow) == "kernels"
    native = {**narrow, "reproducibility": "metrics"}
    assert system.match_hardware(native, native) == "same" and system.match_hardware(narrow, native) == "other"
    more = {**native, "threads": 16}
    assert system.match_hardware(more, more) == "same" and system.match_hardware(more, native) == "other"
    for changes in ({"vendor": "Other"}, {"features": ["avx2"]}, {"machine": "other"}):
        assert system.match_hardware(wide, {**narrow, "cpu": {**narrow["cpu"], **changes}}) == "other", changes
