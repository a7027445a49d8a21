"""Each module prints a table of what something costs."""

import stages  # noqa: F401 - before NumPy, whose kernels it restricts
