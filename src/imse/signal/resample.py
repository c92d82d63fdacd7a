"""Sample rate conversion block by block (soxr), to the same samples as of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.floating[Any]]


def resample_stream(blocks: Iterable[Block], from_rate: int, to_rate: int, channels: int) -> Iterator[Block]:
    """Convert the rate of a signal that comes in blocks; memory does not grow with its length.

    Args:
        blocks: Samples [frames, channels], all float32 or all float64, in blocks of any lengths.
        from_rate: Their rate in Hz.
        to_rate: The rate wanted; if the same, the blocks pass as they are.
        channels: Their number.

    Yields:
        Blocks [frames, channels], none empty. Together they are what `soxr.resample` makes of the whole signal:
        ``round(frames * to_rate / from_rate)`` frames, aligned with the input.
    """
    if from_rate == to_rate:
        yield from blocks
        return
    import soxr

    stream: soxr.ResampleStream | None = None
    for block in blocks:
        if stream is None:
            stream = soxr.ResampleStream(from_rate, to_rate, channels, block.dtype)
        resampled = stream.resample_chunk(np.ascontiguousarray(block))
        if len(resampled):
            yield resampled
    if stream is not None:
        rest = stream.resample_chunk(np.empty((0, channels), block.dtype), last=True)
        if len(rest):
            yield rest
