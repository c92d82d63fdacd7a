"""Log-likelihood ratio: how much worse the enhanced frame's linear predictor predicts the clean frame.

Quackenbush, Barnwell and Clements, "Objective Measures of Speech Quality", 1988, as in Hu and Loizou (2008), eq. 3:

    LLR = log((a_e' R_c a_e) / (a_c' R_c a_c))

with R_c the autocorrelation matrix of the clean frame and a_c, a_e the predictors of order 16.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from imse.evaluate.frames import N_FFT, Float64s

ORDER = 16
# Energy of a white floor below 16-bit quantisation: a frame of digital silence gets the flat predictor, not 0 / 0.
_FLOOR = np.finfo(np.float64).eps


def log_likelihood_ratio(clean: Float64s, enhanced: Float64s) -> Float64s:
    """Log-likelihood ratio of each frame: power spectra [T, 513] of both signals in, [T] out, at least 0."""
    lags = _autocorrelation(clean)
    own = _residual(_predictor(lags), lags)
    other = _residual(_predictor(_autocorrelation(enhanced)), lags)
    # No predictor leaves less residual than the frame's own; where rounding says otherwise it is the same.
    return np.log(np.maximum(other / own, 1))


def _autocorrelation(power: Float64s) -> Float64s:
    """Autocorrelation [T, 17] of the frames with these power spectra [T, 513] (Wiener and Khinchin)."""
    lags: Float64s = power @ _cosines()
    lags[:, 0] += _FLOOR
    return lags


@cache
def _cosines() -> Float64s:
    """The inverse Fourier transform of a power spectrum, as far as the order of the predictor: [513, 17]."""
    bins, lags = np.arange(N_FFT // 2 + 1)[:, None], np.arange(ORDER + 1)
    counted = np.where((bins == 0) | (bins == N_FFT // 2), 1, 2)  # the other half of the spectrum is the same
    return counted * np.cos(2 * np.pi * bins * lags / N_FFT) / N_FFT


def _predictor(lags: Float64s) -> Float64s:
    """Prediction error filters [T, 17], the first tap 1, by the Levinson-Durbin recursion over all frames at once."""
    filters = np.zeros_like(lags)
    filters[:, 0] = 1
    error = lags[:, 0].copy()
    for order in range(1, ORDER + 1):
        reflection = -np.einsum("tk,tk->t", filters[:, :order], lags[:, order:0:-1]) / error
        filters[:, 1 : order + 1] += reflection[:, None] * filters[:, order - 1 :: -1][:, :order]
        error *= 1 - reflection**2
    return filters


def _residual(filters: Float64s, lags: Float64s) -> Float64s:
    """Residual energy a' R a [T]; R is Toeplitz, so it takes only the autocorrelation of a."""
    residual: Float64s = np.einsum("tk,tk->t", filters, filters) * lags[:, 0]
    for lag in range(1, ORDER + 1):
        residual += 2 * np.einsum("tk,tk->t", filters[:, :-lag], filters[:, lag:]) * lags[:, lag]
    return residual
