"""Signal-to-noise ratios in dB: segmental, frequency-weighted segmental, and scale-invariant."""

from __future__ import annotations

import math

import numpy as np

from imse.evaluate.frames import Float64s, critical_bands

# A frame counts at most this much either way: silence would otherwise outweigh speech.
_LEAST_DB, _MOST_DB = -10, 35
_EPS = np.finfo(np.float64).eps
# Louder or quieter than this against the target is rounding: 16-bit quantisation lies at about -98 dB.
SI_SDR_LIMIT_DB = 100.0


def segmental_snr(clean: Float64s, enhanced: Float64s) -> Float64s:
    """Segmental signal-to-noise ratio of each frame in dB, in [-10, 35].

    Hansen and Pellom, "An effective quality evaluation protocol for speech enhancement algorithms", ICSLP 1998;
    a frame in which the clean signal is digital silence counts as -10 dB, as in the scripts behind published tables.

    Args:
        clean: Windowed frames [T, 480].
        enhanced: Windowed frames [T, 480].
    """
    signal = np.sum(clean**2, axis=1)
    noise = np.sum((clean - enhanced) ** 2, axis=1)
    snr_db: Float64s = np.clip(10 * np.log10(signal / (noise + _EPS) + _EPS), _LEAST_DB, _MOST_DB)
    return snr_db


def frequency_weighted_snr(clean: Float64s, enhanced: Float64s) -> Float64s:
    """Frequency-weighted segmental signal-to-noise ratio of each frame in dB, in [-10, 35].

    Hu and Loizou (2008), eq. 5: the mean over 25 critical bands, weighted by the clean band's magnitude to the power
    0.2. Each spectrum is first scaled to unit sum, so a change of level costs nothing.

    Args:
        clean: Power spectra [T, 513].
        enhanced: Power spectra [T, 513].
    """
    clean_bands, enhanced_bands = _unit_sum(clean) @ critical_bands(), _unit_sum(enhanced) @ critical_bands()
    error = np.maximum((clean_bands - enhanced_bands) ** 2, _EPS)
    weights = clean_bands**0.2
    snr_db = np.sum(weights * 10 * np.log10(clean_bands**2 / error), axis=1) / np.sum(weights, axis=1)
    clipped: Float64s = np.clip(snr_db, _LEAST_DB, _MOST_DB)
    return clipped


def _unit_sum(power: Float64s) -> Float64s:
    """Magnitude spectra whose bins add up to one, that at the Nyquist frequency not counted."""
    magnitude = np.sqrt(power) + _EPS  # digital silence is flat, not 0 / 0
    scaled: Float64s = magnitude / magnitude[:, :-1].sum(axis=1, keepdims=True)
    return scaled


def si_sdr(clean: Float64s, enhanced: Float64s) -> float:
    """Scale-invariant signal-to-distortion ratio in dB, limited to +-100 dB.

    Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, eq. 3, without removal of the mean.

    Args:
        clean: Target [samples], not silent.
        enhanced: Estimate [samples], not silent.
    """
    target = (enhanced @ clean) / (clean @ clean) * clean
    distortion = enhanced - target
    signal, noise = float(target @ target), float(distortion @ distortion)
    least = 10 ** (-SI_SDR_LIMIT_DB / 10)
    if noise <= least * signal:
        return SI_SDR_LIMIT_DB
    return 10 * math.log10(max(signal / noise, least))
