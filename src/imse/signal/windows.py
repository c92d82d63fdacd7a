"""Moving windows, as for a moving average."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Float = TypeVar("_Float", bound="np.floating[Any]")


def moving_windows(x: NDArray[_Float], size: int, axis: int = -1) -> NDArray[_Float]:
    """The values around each value along an axis, the first and the last repeated beyond the ends.

    Args:
        x: [..., N, ...] with N >= 1.
        size: Values of a window, an odd number.
        axis: The axis of N.

    Returns:
        View [..., N, ..., size]; windows are the last axis.
    """
    border = [(0, 0)] * x.ndim
    border[axis] = (size // 2, size // 2)
    return np.lib.stride_tricks.sliding_window_view(np.pad(x, border, mode="edge"), size, axis=axis)
