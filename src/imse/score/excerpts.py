"""Excerpts of a signal at 16 kHz: its beginning, to align by, and windows for DNSMOS over all of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imse.audio import Block
from imse.evaluate.dnsmos import WINDOW, Rating, dnsmos, rate
from imse.signal.spectrum import SAMPLE_RATE

_HEAD_SECONDS = 60
# A window takes a sixth of a second of processor time: rating every second of an hour would take ten minutes.
_MOST_WINDOWS = 20
_SHORT_SECONDS = 29  # of which every window is rated


class Excerpts:
    """The first minute of a signal that comes in blocks, and of a long one 20 windows of 9 s spread over it.

    Args:
        samples: Length of the signal, so that the windows are spread over it.
    """

    def __init__(self, samples: int) -> None:
        self._every = -(-samples // _MOST_WINDOWS)
        self._is_short = samples <= _SHORT_SECONDS * SAMPLE_RATE
        self._recent = np.empty(0, np.float32)  # begins where the next window does, or before
        self._to_skip = 0
        self._head: list[NDArray[np.float32]] = []
        self._head_missing = _HEAD_SECONDS * SAMPLE_RATE
        self.windows: list[NDArray[np.float32]] = []

    def add(self, block: Block) -> None:
        """Take the next samples [samples]."""
        samples = block.astype(np.float32)
        self._head.append(samples[: self._head_missing])
        self._head_missing -= len(self._head[-1])
        if self._is_short:
            return
        self._recent = np.concatenate([self._recent, samples])
        self._skip()
        while len(self._recent) >= WINDOW:
            self.windows.append(self._recent[:WINDOW])
            self._to_skip = self._every
            self._skip()

    def _skip(self) -> None:
        skipped = min(self._to_skip, len(self._recent))
        self._recent = self._recent[skipped:]
        self._to_skip -= skipped

    @property
    def head(self) -> NDArray[np.float32]:
        """The first minute, [samples]."""
        return np.concatenate([np.empty(0, np.float32), *self._head])

    def rating(self) -> Rating:
        """DNSMOS: of the whole as published up to 29 s, otherwise the mean of up to 20 windows spread over it."""
        return dnsmos(self.head) if self._is_short else rate(self.windows)
