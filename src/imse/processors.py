"""How much may be done at the same time."""

from __future__ import annotations

import os

from imse.arguments import whole_number

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Environment variables by which numerical libraries are told how many threads to use."""


def processors() -> int:
    """Processors that this process may use: in a container, fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_threads(threads: object) -> int:
    """Of the threads that a caller asks for, as many as there are processors; more would only take memory.

    Raises:
        ImseError: `threads` is not a whole number from 1 up.
    """
    return min(whole_number("threads", threads), processors())
