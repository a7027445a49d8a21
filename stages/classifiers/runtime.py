"""TensorFlow configured for reproducible results: seeds, threads, deterministic kernels, precision."""

from typing import NamedTuple

import stages
from stages.classifiers.engine import keras, tf
from stages.core.settings import SettingsError

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


class Runtime(NamedTuple):
    """The device, "CPU" or the name of the GPU; the precision; the CPU threads."""

    device: str
    precision: str
    threads: int

    def __str__(self) -> str:
        """Device and precision, for messages."""
        return f"{self.device} {self.precision}"


def configure(seed: int, threads: int, precision: str = "float32") -> Runtime:
    """Seed every generator and pin what would make two runs differ; call it before anything else.

    `precision` "auto" takes float32 on a CPU, where TensorFlow's 16-bit depthwise convolutions are several
    times slower, and on an NVIDIA card bfloat16 where there are units for it (compute capability 8.0), else
    float16. Raises RuntimeError when TensorFlow has already started with another number of threads, SettingsError for
    16 bits on a CPU that is restricted to AVX2: TensorFlow takes kernels for them that oneDNN then does not have.
    """
    pin_threads(threads)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
    cards = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(cards[0]) if cards else {}
    if precision == "auto":
        precision = _fastest(details.get("compute_capability"))
    if not cards and precision != "float32" and stages.reproducibility() == stages.BITS:
        raise SettingsError(
            f"train.precision: expected float32 or auto on a CPU that is restricted to AVX2, found {precision}; "
            "set runtime.reproducibility to metrics"
        )
    return Runtime(details.get("device_name", "GPU") if cards else "CPU", precision, threads)


def strategy(batch_size: int) -> tf.distribute.Strategy:
    """Return the strategy that distributes every batch evenly over all GPUs; the default one for one GPU or none.

    Raises SettingsError if batches cannot be split evenly.
    """
    n_cards = len(tf.config.list_physical_devices("GPU"))
    if n_cards < 2:
        return tf.distribute.get_strategy()
    if batch_size % n_cards:
        raise SettingsError(f"train.batch_size: expected a multiple of {n_cards}, one share a GPU, found {batch_size}")
    return tf.distribute.MirroredStrategy()


def policy(precision: str) -> str:
    """Return the Keras dtype policy of a precision; variables are float32 under each of them."""
    return POLICIES[precision]


def pin_threads(threads: int) -> None:
    """Make TensorFlow use so many threads. Raises RuntimeError if it has already started with others."""
    for name in ("intra_op", "inter_op"):
        if getattr(tf.config.threading, f"get_{name}_parallelism_threads")() != threads:
            getattr(tf.config.threading, f"set_{name}_parallelism_threads")(threads)


def _fastest(compute_capability: tuple[int, int] | None) -> str:
    if compute_capability is None or compute_capability < (7, 0):
        return "float32"
    return "bfloat16" if compute_capability >= (8, 0) else "float16"
