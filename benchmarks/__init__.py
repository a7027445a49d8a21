"""Each module measures something and prints a table; docs/benchmarks.md lists them."""

import stages  # noqa: F401 - before NumPy, whose kernels it restricts
