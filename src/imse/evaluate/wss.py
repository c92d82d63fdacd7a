"""Weighted spectral slope distance between the critical-band spectra of two signals.

Klatt, "Prediction of perceived phonetic distance from critical-band spectra: a first step", ICASSP 1982, normalised
by the sum of the weights as in Hu and Loizou (2008), eq. 4.
"""

from __future__ import annotations

import numpy as np

from imse.evaluate.frames import Float64s, critical_bands

# Klatt's constants in dB: how fast the weight falls below the highest peak of the spectrum, and below the nearest.
_GLOBAL_DB = 20
_LOCAL_DB = 1
# The scripts take samples of [-1, 1] for 16-bit integers, so quiet bands meet their floor of -100 dB.
_SCALE = 1 / 32768
_FLOOR = 1e-10


def weighted_spectral_slope(clean: Float64s, enhanced: Float64s) -> Float64s:
    """Weighted spectral slope distance of each frame: power spectra [T, 513] of both signals in, [T] out."""
    clean_db, enhanced_db = _band_levels_db(clean), _band_levels_db(enhanced)
    clean_slope, enhanced_slope = np.diff(clean_db), np.diff(enhanced_db)
    weights = (_weights(clean_db, clean_slope) + _weights(enhanced_db, enhanced_slope)) / 2
    distance: Float64s = np.sum(weights * (clean_slope - enhanced_slope) ** 2, axis=1) / np.sum(weights, axis=1)
    return distance


def _band_levels_db(power: Float64s) -> Float64s:
    energy = power @ critical_bands() * _SCALE**2
    level_db: Float64s = 10 * np.log10(np.maximum(energy, _FLOOR))
    return level_db


def _weights(level_db: Float64s, slope: Float64s) -> Float64s:
    """Weight of each slope [T, 24]: large near the spectrum's highest peak and near the peak of its own hill."""
    level = level_db[:, :-1]
    below_highest = level_db.max(axis=1, keepdims=True) - level
    below_nearest = _nearest_peak(level, slope) - level
    weights: Float64s = _GLOBAL_DB / (_GLOBAL_DB + below_highest) * _LOCAL_DB / (_LOCAL_DB + below_nearest)
    return weights


def _nearest_peak(level: Float64s, slope: Float64s) -> Float64s:
    """Level [T, 24] where each band's hill ends: to the right on a rising slope, to the left on a falling one.

    On a rising slope the scripts stop one band below the summit; published scores have that in them.
    """
    rising = slope > 0
    to_right, to_left = level.copy(), level.copy()
    for band in range(level.shape[1] - 2, -1, -1):
        to_right[:, band] = np.where(rising[:, band + 1], to_right[:, band + 1], level[:, band])
    for band in range(1, level.shape[1]):
        to_left[:, band] = np.where(rising[:, band - 1], level[:, band], to_left[:, band - 1])
    return np.where(rising, to_right, to_left)
