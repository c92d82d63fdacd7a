"""Moving windows along either axis."""

from __future__ import annotations

import numpy as np

from imse.signal.windows import moving_windows


def test_ends_are_repeated() -> None:
    x = np.array([[1.0, 2.0, 4.0]], np.float32)
    assert moving_windows(x, 3).tolist() == [[[1, 1, 2], [1, 2, 4], [2, 4, 4]]]
    assert moving_windows(x, 1).tolist() == [[[1], [2], [4]]]


def test_windows_longer_than_the_signal() -> None:
    assert moving_windows(np.array([3.0]), 5).tolist() == [[3.0] * 5]


def test_the_first_axis() -> None:
    x = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(moving_windows(x, 5, axis=0), moving_windows(x.T, 5).swapaxes(0, 1))
