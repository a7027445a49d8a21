"""Arrays by name in one .npz file, as `numpy.load` reads it, whose bytes depend on the arrays alone.

Those of `numpy.savez` depend on Python: 3.11.2 and 3.11.7 write the headers of archive members in two ways.
"""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stages.core import archive


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of any shape and dtype except object, completely or not at all. Raises ValueError on objects."""
    with archive.writing(path) as add:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
            add(f"{name}.npy", stream.getvalue())
