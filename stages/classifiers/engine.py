"""Keras on TensorFlow, imported without the messages that TensorFlow writes to standard error.

Everything here takes `keras` and `tf` from this module: the settings below are read once, at the first import.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["KERAS_BACKEND"] = "tensorflow"
# Fatal messages of the C++ half only; what it calls errors are notes on absent GPUs, and failures raise anyway.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _silence() -> Iterator[None]:
    """Drop what is written to file descriptor 2: these lines come before any logging level applies."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


with _silence():
    import keras
    import tensorflow as tf

    # TensorFlow finds and reports devices at the first listing.
    tf.config.list_physical_devices()

__all__ = ["keras", "tf"]
