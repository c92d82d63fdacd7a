"""Log-likelihood ratio: how much worse the enhanced frame's linear predictor predicts the clean frame.

Quackenbush, Barnwell and Clements, "Objective Measures of Speech Quality", 1988, as in Hu and Loizou (2008), eq. 3:

    LLR = log((a_e' R_c a_e) / (a_c' R_c a_c))

with R_c the autocorrelation matrix of the clean frame and a_c, a_e the predictors of order 16.
"""

from __future__ import annotations

import numpy as np

from imse.evaluate.frames import Floats

ORDER = 16
# Energy of a white floor below 16-bit quantisation: a frame of digital silence gets the flat predictor, not 0 / 0.
_FLOOR = np.finfo(np.float64).eps


def log_likelihood_ratio(clean: Floats, enhanced: Floats) -> Floats:
    """Log-likelihood ratio of each frame: windowed frames [T, 480] of both signals in, [T] out, at least 0."""
    lags = _autocorrelation(clean)
    own = _residual(_predictor(lags), lags)
    other = _residual(_predictor(_autocorrelation(enhanced)), lags)
    # No predictor leaves less residual than the frame's own; where rounding says otherwise it is the same.
    return np.log(np.maximum(other / own, 1))


def _autocorrelation(frames: Floats) -> Floats:
    """Autocorrelation [T, 17] of frames [T, N]."""
    length = frames.shape[1]
    lags = [np.einsum("tn,tn->t", frames[:, : length - lag], frames[:, lag:]) for lag in range(ORDER + 1)]
    lags[0] = lags[0] + _FLOOR
    return np.stack(lags, axis=1)


def _predictor(lags: Floats) -> Floats:
    """Prediction error filters [T, 17], the first tap 1, by the Levinson-Durbin recursion over all frames at once."""
    filters = np.zeros_like(lags)
    filters[:, 0] = 1
    error = lags[:, 0].copy()
    for order in range(1, ORDER + 1):
        reflection = -np.einsum("tk,tk->t", filters[:, :order], lags[:, order:0:-1]) / error
        filters[:, 1 : order + 1] += reflection[:, None] * filters[:, order - 1 :: -1][:, :order]
        error *= 1 - reflection**2
    return filters


def _residual(filters: Floats, lags: Floats) -> Floats:
    """Residual energy a' R a [T]; R is Toeplitz, so it takes only the autocorrelation of a."""
    taps = _autocorrelation_of_taps(filters)
    residual: Floats = taps[:, 0] * lags[:, 0] + 2 * np.einsum("tk,tk->t", taps[:, 1:], lags[:, 1:])
    return residual


def _autocorrelation_of_taps(filters: Floats) -> Floats:
    return np.stack(
        [np.einsum("tk,tk->t", filters[:, : ORDER + 1 - lag], filters[:, lag:]) for lag in range(ORDER + 1)], axis=1
    )
