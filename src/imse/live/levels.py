"""How loud a signal is at the moment."""

from __future__ import annotations

import math

import numpy as np

from imse.signal.spectrum import Floats

SILENCE_DB = -120.0
_SMOOTHING = 0.3  # seconds


class Level:
    """A running level, in dB of full scale; read by one thread while another one adds to it.

    Args:
        sample_rate: In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._power = 0.0

    def add(self, samples: Floats) -> None:
        """Go on with samples [n, channels]."""
        if len(samples):
            kept = math.exp(-len(samples) / (_SMOOTHING * self._rate))
            self._power = kept * self._power + (1 - kept) * float(np.square(samples, dtype=np.float64).mean())

    def __float__(self) -> float:
        return max(SILENCE_DB, 10 * math.log10(self._power)) if self._power else SILENCE_DB
