"""Log-spectral distance and change of level between two signals, in dB."""

from __future__ import annotations

import numpy as np

from imse.evaluate.frames import Float64s

_FRAME_LENGTH = 512
_HOP_LENGTH = 256
# Bins further than this below the loudest of the clean signal are taken to lie there.
_RANGE_DB = 50

LEAST_SAMPLES = _FRAME_LENGTH


def log_spectral_distance(clean: Float64s, enhanced: Float64s) -> float:
    """Log-spectral distance in dB: the root mean square over bins, averaged over frames of 32 ms every 16 ms.

    Cohen, "Optimal speech enhancement under signal presence uncertainty using log-spectral amplitude estimator", IEEE
    SPL 9(4), 2002: both spectra are confined to the 50 dB below the loudest bin of the clean signal.

    Args:
        clean: [samples] at 16 kHz, at least 512, not silent.
        enhanced: [samples].
    """
    clean_power, enhanced_power = _power(clean), _power(enhanced)
    floor = clean_power.max() * 10 ** (-_RANGE_DB / 10)
    difference = 10 * np.log10(np.maximum(clean_power, floor) / np.maximum(enhanced_power, floor))
    return float(np.sqrt(np.mean(difference**2, axis=1)).mean())


def _power(signal: Float64s) -> Float64s:
    frames = np.lib.stride_tricks.sliding_window_view(signal, _FRAME_LENGTH)[::_HOP_LENGTH]
    power: Float64s = np.abs(np.fft.rfft(frames * np.hanning(_FRAME_LENGTH + 1)[:-1], axis=1)) ** 2
    return power


def level_change(clean: Float64s, enhanced: Float64s) -> float:
    """Level of the enhanced signal over that of the clean one: the ratio of their root mean squares in dB."""
    return float(10 * np.log10((enhanced @ enhanced) / (clean @ clean)))
