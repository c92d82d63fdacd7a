"""Frames that the composite measures share: 30 ms under a Hann window, each 7.5 ms after the one before.

Hu and Loizou, "Evaluation of objective quality measures for speech enhancement", IEEE TASLP 16(1), 2008. The choices
that their paper leaves open are those of the MATLAB scripts in Loizou's book, as every published table follows them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imse.signal.spectrum import SAMPLE_RATE

Float64s = NDArray[np.float64]
AnyFloats = NDArray[np.floating[Any]]

FRAME_LENGTH = 480
HOP_LENGTH = 120
N_FFT = 1024

# Centre and bandwidth in Hz of the 25 critical bands of Loizou's scripts.
_BANDS = np.array(
    [
        *((50, 70), (120, 70), (190, 70), (260, 70), (330, 70), (400, 70), (470, 70)),
        *((540, 77.3724), (617.372, 86.0056), (703.378, 95.3398), (798.717, 105.411), (904.128, 116.256)),
        *((1020.38, 127.914), (1148.30, 140.423), (1288.72, 153.823), (1442.54, 168.154), (1610.70, 183.457)),
        *((1794.16, 199.776), (1993.93, 217.153), (2211.08, 235.631), (2446.71, 255.255), (2701.97, 276.072)),
        *((2978.04, 298.126), (3276.17, 321.465), (3597.63, 346.136)),
    ]
)
_LEAST_WEIGHT = np.exp(-30 / (2 * 2.303))


@cache
def _window() -> Float64s:
    """Hann window without its zeros at both ends, [480]."""
    return np.hanning(FRAME_LENGTH + 2)[1:-1]


def frame_count(samples: int) -> int:
    """Frames of a signal: ``(samples - 480) // 120``, so the last that would fit is left out, as in the scripts."""
    return max(0, (samples - FRAME_LENGTH) // HOP_LENGTH)


def frames(signal: Float64s) -> Float64s:
    """Windowed frames [T, 480] of a signal [samples] at 16 kHz."""
    every = np.lib.stride_tricks.sliding_window_view(signal, FRAME_LENGTH)[::HOP_LENGTH]
    windowed: Float64s = every[: frame_count(len(signal))] * _window()
    return windowed


def power_spectrum(windowed: Float64s) -> Float64s:
    """Power spectra [T, 513] of frames [T, 480]."""
    spectrum = np.fft.rfft(windowed, N_FFT, axis=-1)
    power: Float64s = spectrum.real**2 + spectrum.imag**2  # a third of the time of np.abs
    return power


@cache
def critical_bands() -> Float64s:
    """Weights [513, 25] of the critical bands: Gaussian in frequency, of equal area, zero where below -30 dB."""
    bins = np.arange(N_FFT // 2 + 1)[:, None]
    bins_per_hz = N_FFT / SAMPLE_RATE
    centres, bandwidths = _BANDS.T
    distance = (bins - np.floor(centres * bins_per_hz)) / (bandwidths * bins_per_hz)
    weights = np.exp(-11 * distance**2) * bandwidths[0] / bandwidths
    filters: Float64s = np.where(weights > _LEAST_WEIGHT, weights, 0)
    return filters
