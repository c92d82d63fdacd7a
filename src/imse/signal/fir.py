"""Linear-phase filters without delay: a signal's samples stay where they are in time.

The kernels are windowed sincs (Kaiser's method): J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh
window function", 1974. Convolution is by the fast Fourier transform, block by block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imse.signal.resample import Block

_ATTENUATION_DB = 70.0  # of a single edge; those at a positive and a negative frequency, and the one at 0, add up
_Float = TypeVar("_Float", bound="np.floating[Any]")


def high_pass_kernel(cutoff_hz: float, width_hz: float, sample_rate: int) -> NDArray[np.float64]:
    """A symmetric kernel of odd length that takes 60 dB from what is below a band, and direct current entirely.

    Args:
        cutoff_hz: The middle of that band, where half of the amplitude (-6 dB) is left.
        width_hz: Its width.
        sample_rate: In Hz.
    """
    # Kaiser's estimates of the window's shape and of the length, for attenuations above 50 dB.
    beta = 0.1102 * (_ATTENUATION_DB - 8.7)
    half = math.ceil((_ATTENUATION_DB - 7.95) / (2.285 * 2 * math.pi * width_hz / sample_rate) / 2)
    at = np.arange(-half, half + 1)
    low_pass = np.sinc(2 * cutoff_hz / sample_rate * at) * np.kaiser(2 * half + 1, beta)
    kernel: NDArray[np.float64] = -low_pass / low_pass.sum()
    kernel[half] += 1
    return kernel


def filter_stream(blocks: Iterable[Block], kernel: NDArray[np.float64]) -> Iterator[Block]:
    """Filter a signal that comes in blocks [frames, channels], in memory that does not grow with its length.

    Beyond both ends, the signal is taken to go on at its first and at its last value, so direct current makes no click.

    Yields:
        Blocks [frames, channels] of the input's type; as many frames in all.
    """
    half = len(kernel) // 2
    held: Block | None = None
    for block in blocks:
        if not len(block):
            continue
        held = np.concatenate([np.repeat(block[:1], half, axis=0) if held is None else held, block])
        if len(held) >= 3 * len(kernel):  # shorter blocks are not worth a Fourier transform
            yield _inner(held, kernel)
            held = held[len(held) - 2 * half :]
    if held is not None:
        yield _inner(np.concatenate([held, np.repeat(held[-1:], half, axis=0)]), kernel)


def filter_rows(x: NDArray[_Float], kernel: NDArray[np.float64]) -> NDArray[_Float]:
    """Filter whole signals [B, samples] as `filter_stream` does; of the same shape and type."""
    half = len(kernel) // 2
    return _inner(np.pad(x, [(0, 0), (half, half)], mode="edge").T, kernel).T


def _inner(x: NDArray[_Float], kernel: NDArray[np.float64]) -> NDArray[_Float]:
    """The convolution along the first axis, where it does not depend on what lies beyond x."""
    size = 1 << (len(x) - 1).bit_length()
    response = np.fft.rfft(kernel, size)[:, np.newaxis]
    y = np.empty((len(x) - len(kernel) + 1, x.shape[1]), x.dtype)
    for channel in range(x.shape[1]):  # one at a time: double precision of all would be much memory
        spectrum = np.fft.rfft(x[:, channel].astype(np.float64), size)
        y[:, channel] = np.fft.irfft(spectrum * response[:, 0], size)[len(kernel) - 1 : len(x)]
    return y
