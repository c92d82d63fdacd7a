"""Gains over time, from compressed magnitudes before and after enhancement."""

from __future__ import annotations

import numpy as np

from imse.signal.spectrum import COMPRESSION, HOP_LENGTH, N_FFT, SAMPLE_RATE, Floats
from imse.signal.windows import moving_windows

# The band whose gain the band above 8 kHz follows: as near to 8 kHz as the resampler's edge allows.
_GUIDE = slice(round(5_500 * N_FFT / SAMPLE_RATE), round(7_200 * N_FFT / SAMPLE_RATE))
_GUIDE_FRAMES = 5  # 31 ms, so that hiss does not flutter

_LIMIT_FRAMES = 65  # 0.4 s: within it, parts of noise and speech that cancel each other are balanced by others
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
    return _at_samples(moving_windows(np.minimum(gain, 1), _GUIDE_FRAMES).mean(-1), samples)


def limiting_gain(noisy: Floats, enhanced: Floats, samples: int) -> Floats:
    """The gain that keeps enhancement from making a signal louder: removing noise can only lower its power.

    The network's mask reaches 2, which is 20 dB. With this gain, the power of the enhanced spectrum over any window of
    0.4 s is at most 0.5 dB above that of the noisy one. Every frame follows the window around it that has to be lowered
    most.

    Args:
        noisy: Compressed magnitude before [B, 256, T].
        enhanced: Compressed magnitude after [B, 256, T].
        samples: Length of the signal.

    Returns:
        Gain at every sample [B, samples], from 0 to 1, and 1 wherever nothing is limited.
    """
    before, after = (moving_windows(_power(magnitude), _LIMIT_FRAMES).mean(-1) for magnitude in (noisy, enhanced))
    allowed = _LIMIT * before
    gain = np.sqrt(np.divide(allowed, after, out=np.ones_like(after), where=after > allowed))
    return _at_samples(moving_windows(gain, _LIMIT_FRAMES).min(-1), samples)


def _power(magnitude: Floats) -> Floats:
    """Power of each frame of compressed magnitudes [B, bins, T]: [B, T]."""
    power: Floats = (magnitude ** (2 / COMPRESSION)).sum(1)
    return power


def _at_samples(rows: Floats, samples: int) -> Floats:
    """Values of frames [B, T] at every sample between them: [B, samples]."""
    at = np.arange(samples) / HOP_LENGTH
    return np.stack([np.interp(at, np.arange(len(row)), row) for row in rows]).astype(np.float32)
