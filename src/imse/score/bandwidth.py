"""Bandwidth: the highest frequency at which there is sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imse.audio import Block

_FRAME_SECONDS = 0.03
_BAND_HZ = 200
# Content of a band lies within this of the loudest band. Above the cut of a resampler or an encoder there is less;
# consonants of a voice close to the microphone are 40 to 70 dB below its vowels at 10 to 16 kHz.
_RANGE_DB = 80
# Power of rounding to 16 bits, and how far above it content is.
_ROUNDING_POWER = 2**-30 / 12
_MARGIN_DB = 10


class BandwidthMeter:
    """Mean spectrum of a recording that comes in blocks.

    Args:
        sample_rate: In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._length = 2 * round(_FRAME_SECONDS * sample_rate / 2)
        window = np.kaiser(self._length, 13)  # side lobes below -95 dB: a loud tone is no content elsewhere
        self._window = window / np.sqrt(np.sum(window**2) * self._length)
        self._power = np.zeros(self._length // 2 + 1)
        self._frames = 0

    def add(self, block: Block) -> None:
        """Take the next samples [frames, channels]; less than 30 ms at the end of a longer block is left out."""
        count = max(1, len(block) // self._length)
        whole = block[: count * self._length].astype(np.float64)
        padded = np.pad(whole, ((0, count * self._length - len(whole)), (0, 0)))
        frames = padded.reshape(count, self._length, -1)
        frames -= frames.mean(axis=1, keepdims=True)  # direct current is no content
        power = np.abs(np.fft.rfft(frames * self._window[:, None], axis=1)) ** 2
        self._power += 2 * power.mean(axis=2).sum(axis=0)
        self._frames += count

    def bandwidth_hz(self) -> float | None:
        """Upper end of the highest band of 200 Hz with content, at most half the sample rate; None for silence."""
        per_band = max(1, round(_BAND_HZ * self._length / self._rate))
        bins: NDArray[np.float64] = self._power[1:] / max(self._frames, 1)
        starts = np.arange(0, len(bins), per_band)
        bands = np.add.reduceat(bins, starts)
        rounding = _ROUNDING_POWER * per_band / len(bins)
        least = max(bands.max() * 10 ** (-_RANGE_DB / 10), rounding * 10 ** (_MARGIN_DB / 10))
        filled = np.flatnonzero(bands > least)
        if not len(filled):
            return None
        return float(min((starts[filled[-1]] + per_band) * self._rate / self._length, self._rate / 2))
