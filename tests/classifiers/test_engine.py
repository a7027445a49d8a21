"""What must stay quick to import stays free of TensorFlow, and what imports it does so in silence."""

import subprocess
import sys

import pytest

LIGHT = (
    *("train.settings", "schemas.split_data", "ensemble.weighting", "scoring.scores", "classifiers.linear_head"),
    *("pretrained.torch_pickle", "ensemble.__main__"),
)


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


@pytest.mark.parametrize("module", [f"stages.{name}" for name in LIGHT])
def test_light_modules_do_not_import_tensorflow(module):
    loaded = run(f"import {module}, sys; print(*sys.modules)").stdout.split()
    assert module in loaded
    assert not {"tensorflow", "keras"} & set(loaded)


def test_the_engine_starts_in_silence_and_lets_errors_through():
    found = run(
        "from stages.classifiers.engine import keras, tf; import sys; tf.constant(1);"
        "print(keras.backend.backend()); print('heard', file=sys.stderr)"
    )
    assert found.stdout == "tensorflow\n"
    assert found.stderr == "heard\n"
