import subprocess
import sys

import pytest

from stages.learning import runtime


@pytest.mark.parametrize(
    ("capability", "precision"),
    [(None, "float32"), ((6, 1), "float32"), ((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")],
)
def test_precision_follows_the_card(capability, precision):
    assert runtime._fastest(capability) == precision


def test_policies():
    assert [runtime.policy(p) for p in ("float32", "bfloat16", "float16")] == [
        "float32",
        "mixed_bfloat16",
        "mixed_float16",
    ]


def test_configure_pins_threads_and_seeds_in_a_fresh_process():
    code = (
        "from stages.learning import runtime; from stages.learning.engine import tf;"
        "print(runtime.configure(5, 1, 'float32')[1:], float(tf.random.uniform(())));"
        "print(tf.config.threading.get_intra_op_parallelism_threads())"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert first == second
    assert first.startswith("('float32', 1)") and first.endswith("\n1\n")
