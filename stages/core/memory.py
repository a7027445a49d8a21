"""Memory that was freed, given back to the operating system."""

import ctypes


def release() -> None:
    """Give freed memory back, where the C library has a function for it, as glibc has.

    A table is read in parts, whose texts lie between the columns that stay: without this, a process kept more than
    twice the memory of its tables.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
