"""Integrated loudness in LUFS (ITU-R BS.1770, EBU R 128), measured by pyloudnorm piece by piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imse.audio import Block

MOST_CHANNELS = 5
"""BS.1770 weighs up to five channels: left, right, centre, and two of the surround."""
_BLOCK_SECONDS, _STEPS_PER_SECOND = 0.4, 10
_PIECE_SECONDS = 10
# Seconds of the piece before that each piece begins with, so that the weighting filters settle.
_SETTLING_SECONDS = 1
# The last block that ends within a piece begins 0.4 s before its end.
_BLOCKS_BEFORE = _SETTLING_SECONDS * _STEPS_PER_SECOND - 3
_OFFSET_DB = 0.691
_ABSOLUTE_GATE, _RELATIVE_GATE_DB = -70.0, -10.0


class LoudnessMeter:
    """Loudness of a recording that comes in blocks; memory does not grow with its length.

    pyloudnorm weighs the sound and computes the loudness of each block of 0.4 s. It wants a whole recording; pieces of
    10 s that overlap by a second have the same blocks. Gating is over all of them.

    Args:
        sample_rate: In Hz, at least 8,000.
        channels: Up to five.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        import pyloudnorm  # which loads scipy: a second that wrong arguments need not wait for

        # "DeMan" has the coefficients of BS.1770; the default is an approximation of them.
        self._meter = pyloudnorm.Meter(sample_rate, "DeMan", _BLOCK_SECONDS)
        self._rate = sample_rate
        self._held = np.empty((0, channels))
        self._is_first = True
        self._blocks: list[NDArray[np.float64]] = []

    def add(self, block: Block) -> None:
        """Take the next samples [frames, channels]."""
        self._held = np.concatenate([self._held, block.astype(np.float64)])
        if len(self._held) >= (_PIECE_SECONDS + _SETTLING_SECONDS) * self._rate:
            whole = len(self._held) // self._rate * self._rate
            self._measure(self._held[:whole])
            self._held = self._held[whole - _SETTLING_SECONDS * self._rate :]
            self._is_first = False

    def integrated(self) -> float | None:
        """Integrated loudness in LUFS; None if no block is above -70 LUFS, or the recording is shorter than a block."""
        self._measure(self._held)
        self._held = self._held[:0]
        levels = np.concatenate([np.empty(0), *self._blocks])
        levels = levels[levels >= _ABSOLUTE_GATE]
        if not len(levels):
            return None
        loud = levels[levels > _mean(levels) + _RELATIVE_GATE_DB]
        return _mean(loud)

    def _measure(self, piece: NDArray[np.float64]) -> None:
        if len(piece) < _BLOCK_SECONDS * self._rate:
            return
        self._meter.integrated_loudness(piece)
        self._blocks.append(np.array(self._meter.blockwise_loudness[0 if self._is_first else _BLOCKS_BEFORE :]))


def _mean(levels: NDArray[np.float64]) -> float:
    """Loudness of blocks together: their weighted powers are averaged."""
    power = np.mean(10 ** ((levels + _OFFSET_DB) / 10))
    return float(10 * np.log10(power) - _OFFSET_DB)
