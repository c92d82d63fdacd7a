"""Clipping: runs of samples at full scale."""

from __future__ import annotations

import numpy as np

from imse.audio import Block

# A single sample at full scale is the peak of a recording that was brought to it; a run of three is cut off.
_SHORTEST_RUN = 3
_BEFORE = _SHORTEST_RUN  # flags to keep of the block before: those of the longest run not yet counted, and one more

_FULL_SCALE = {"PCM_S8": 127 / 128, "PCM_U8": 127 / 128, "ULAW": 32124 / 32768, "ALAW": 32256 / 32768}
"""Highest value of an encoding, where it is below that of 16 bits."""


class ClippingMeter:
    """Counts the samples in runs of three or more at full scale, in each channel for itself.

    Args:
        channels: Number of channels.
        subtype: The encoding, as `imse.audio.AudioInfo` names it: it decides what full scale is.
    """

    def __init__(self, channels: int, subtype: str) -> None:
        self.runs = 0
        self._full_scale = _FULL_SCALE.get(subtype, 32767 / 32768)
        self._flags = np.zeros((_BEFORE, channels), np.bool_)
        self._clipped = self._samples = 0

    def add(self, block: Block) -> None:
        """Take the next samples [frames, channels]."""
        flags = np.concatenate([self._flags, np.abs(block) >= self._full_scale])
        run = flags[2:] & flags[1:-1] & flags[:-2]  # the third sample of a run, and each after it
        begun = int(np.count_nonzero(run[1:] & ~run[:-1]))
        self.runs += begun
        self._clipped += int(np.count_nonzero(run[1:])) + (_SHORTEST_RUN - 1) * begun
        self._samples += block.size
        self._flags = flags[-_BEFORE:]

    @property
    def share(self) -> float:
        """Share of all samples that are in such runs."""
        return self._clipped / max(self._samples, 1)
