import subprocess
import sys

import pytest

import stages
from stages.classifiers import runtime
from stages.classifiers.engine import tf
from stages.core.settings import SettingsError


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
        "from stages.classifiers import runtime; from stages.classifiers.engine import tf;"
        "print(runtime.configure(5, 1, 'float32')[1:], float(tf.random.uniform(())));"
        "print(tf.config.threading.get_intra_op_parallelism_threads())"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert first == second
    assert first.startswith("('float32', 1)") and first.endswith("\n1\n")


def test_bfloat16_needs_a_card_or_a_cpu_that_is_let_go(monkeypatch):
    monkeypatch.setattr(stages, "reproducibility", lambda: stages.BITS)
    with pytest.raises(
        SettingsError, match=r"train\.precision: expected float32 or auto .* runtime.reproducibility to metrics"
    ):
        runtime.configure(5, tf.config.threading.get_intra_op_parallelism_threads(), "bfloat16")


def test_batches_are_shared_out_over_several_cards_and_must_go_up(monkeypatch):
    cards = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: cards)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda: "all cards")
    for count in (0, 1):
        cards[:] = ["card"] * count
        assert runtime.strategy(16) is tf.distribute.get_strategy()
    cards[:] = ["card"] * 3
    assert runtime.strategy(15) == "all cards"
    with pytest.raises(SettingsError, match=r"train\.batch_size: expected a multiple of 3, one share a GPU, found 16"):
        runtime.strategy(16)
