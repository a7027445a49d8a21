import os
import subprocess
import sys

import pytest

from stages.core import cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_only_cores_of_the_affinity_count():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from stages.core import cores; print(cores.available())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert cores.available() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("granted", "expected"), [("1", 1), ("0", None), ("", None), ("many", None), ("999999", None)])
def test_a_grant_of_fewer_cores_is_kept(monkeypatch, granted, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    present = cores.available()
    monkeypatch.setenv("OMP_NUM_THREADS", granted)
    assert cores.available() == (expected or present)
