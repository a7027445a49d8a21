"""Arrays by name in one .npz file, as `numpy.load` reads it, with bytes that depend on the arrays alone.

Those of `numpy.savez` change with Python: 3.11.2 and 3.11.7 write the heads of an archive's members in two ways.
"""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stages.core import archive


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of any shape and type but objects, whole or not at all. Raises ValueError on objects."""
    with archive.writing(path) as add:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
            add(f"{name}.npy", stream.getvalue())
