"""Gains over time, from a signal before and after enhancement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from imse.signal.fir import filter_rows, high_pass_kernel
from imse.signal.spectrum import COMPRESSION, HOP_LENGTH, N_FFT, SAMPLE_RATE, Floats
from imse.signal.windows import moving_windows

# The band whose gain the band above 8 kHz follows: as near to 8 kHz as the resampler's edge allows.
_GUIDE = slice(round(5_500 * N_FFT / SAMPLE_RATE), round(7_200 * N_FFT / SAMPLE_RATE))
_STRIP_HZ, _STRIP_EDGE_HZ = 7_600, 200
_GUIDE_FRAMES = 5  # 31 ms, so that hiss does not flutter

_LIMIT_HOPS = 65  # 0.4 s: within it, parts of noise and speech that cancel each other are balanced by others
_LIMIT = 10 ** (0.5 / 10)  # of the power after enhancement to that before


def guide_gain(noisy: Floats, enhanced: Floats, samples: int) -> Floats:
    """The network's gain just below 8 kHz, smoothed.

    Args:
        noisy: Compressed magnitude before [B, 256, T].
        enhanced: Compressed magnitude after [B, 256, T].
        samples: Length of the signal.

    Returns:
        Gain at every sample [B, samples], from 0 to 1.
    """
    before, after = (_power(magnitude[:, _GUIDE]) for magnitude in (noisy, enhanced))
    gain = np.sqrt(np.divide(after, before, out=np.zeros_like(after), where=before > 0))
    return _at_samples(moving_windows(np.minimum(gain, 1), _GUIDE_FRAMES).mean(-1), samples, 0)


def follow_guide(noisy: Floats, enhanced: Floats, gain: Floats) -> Floats:
    """Replace the strip from 7.6 to 8 kHz by the input with the gain of the band below it.

    Recordings at 16 kHz end in this strip, at the edge of the filter of whoever made them. So the network has learnt
    nothing about it: it leaves noise there, or adds to it.

    Args:
        noisy: The signal before [B, samples].
        enhanced: The signal after [B, samples].
        gain: What `guide_gain` says [B, samples].

    Returns:
        The signal after [B, samples], the same below 7.5 kHz.
    """
    return enhanced + filter_rows(gain * noisy - enhanced, _strip_kernel())


@cache
def _strip_kernel() -> NDArray[np.float64]:
    return high_pass_kernel(_STRIP_HZ, _STRIP_EDGE_HZ, SAMPLE_RATE)


def limiting_gain(noisy: Sequence[Floats], enhanced: Floats) -> Floats:
    """The gain that keeps enhancement from making a signal louder: removing noise can only lower its power.

    The network's mask reaches 2, which is 20 dB. With this gain, the power of the enhanced signal over any window of
    0.4 s is at most 0.5 dB above that of the noisy one. Every sample follows the window around it that has to be
    lowered most.

    Args:
        noisy: The signal before, in several versions [B, samples]; the one with the least power in a hop counts.
        enhanced: The signal after [B, samples].

    Returns:
        Gain at every sample [B, samples], from 0 to 1, and 1 wherever nothing is limited.
    """
    least = np.minimum.reduce([_hop_powers(signal) for signal in noisy])
    before, after = (moving_windows(powers, _LIMIT_HOPS).mean(-1) for powers in (least, _hop_powers(enhanced)))
    allowed = _LIMIT * before
    gain = np.sqrt(np.divide(allowed, after, out=np.ones_like(after), where=after > allowed))
    # Between hops the gain is interpolated, so the hops beside a window matter, too.
    return _at_samples(moving_windows(gain, _LIMIT_HOPS + 2).min(-1), enhanced.shape[1], HOP_LENGTH / 2)


def _hop_powers(signal: Floats) -> NDArray[np.float64]:
    """The power in every hop of a signal [B, samples], the last one filled up with zeros: [B, hops]."""
    padded = np.pad(signal, [(0, 0), (0, -signal.shape[1] % HOP_LENGTH)])
    powers: NDArray[np.float64] = np.square(padded.reshape(len(signal), -1, HOP_LENGTH), dtype=np.float64).mean(-1)
    return powers


def _power(magnitude: Floats) -> Floats:
    """Power of each frame of compressed magnitudes [B, bins, T]: [B, T]."""
    power: Floats = (magnitude ** (2 / COMPRESSION)).sum(1)
    return power


def _at_samples(rows: NDArray[np.floating], samples: int, first: float) -> Floats:
    """Values [B, T], a hop apart from a first position on, at every sample between them: [B, samples]."""
    at = (np.arange(samples) - first) / HOP_LENGTH
    return np.stack([np.interp(at, np.arange(len(row)), row) for row in rows]).astype(np.float32)
