"""The parts of the composite measures as plain loops over frames and bands, to test and time `imse.evaluate`.

It shares no code with `imse.evaluate`. The published constants are typed again here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_RATE, _LENGTH, _HOP, _FFT, _ORDER = 16_000, 480, 120, 1024, 16
_WINDOW = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / (_LENGTH + 1)) for n in range(1, _LENGTH + 1)])
_CENTRES = (
    "50 120 190 260 330 400 470 540 617.372 703.378 798.717 904.128 1020.38 1148.30 1288.72 1442.54 1610.70 1794.16 "
    "1993.93 2211.08 2446.71 2701.97 2978.04 3276.17 3597.63"
)
_BANDWIDTHS = (
    "70 70 70 70 70 70 70 77.3724 86.0056 95.3398 105.411 116.256 127.914 140.423 153.823 168.154 183.457 199.776 "
    "217.153 235.631 255.255 276.072 298.126 321.465 346.136"
)


def composite_parts(clean: Floats, enhanced: Floats) -> dict[str, float]:
    """LLR and WSS as in the composite measures, and segmental SNR in dB."""
    filters = np.array(_filters())
    llr, wss, ssnr = [], [], []
    for start in range(0, (len(clean) - _LENGTH) // _HOP * _HOP, _HOP):
        c = clean[start : start + _LENGTH] * _WINDOW
        e = enhanced[start : start + _LENGTH] * _WINDOW
        llr.append(_llr(c, e))
        wss.append(_wss(_levels(c, filters), _levels(e, filters)))
        ssnr.append(_ssnr(c, e))
    kept = round(0.95 * len(llr))
    return {
        "llr": float(np.mean(sorted(llr)[:kept])),
        "wss": float(np.mean(sorted(wss)[:kept])),
        "ssnr_db": float(np.mean(ssnr)),
    }


def frequency_weighted_snr(clean: Floats, enhanced: Floats) -> float:
    """Frequency-weighted segmental SNR in dB."""
    filters = _filters()
    snrs = []
    for start in range(0, (len(clean) - _LENGTH) // _HOP * _HOP, _HOP):
        c, e = (_magnitude(signal[start : start + _LENGTH] * _WINDOW) for signal in (clean, enhanced))
        snrs.append(_fwsnr(c / np.sum(c), e / np.sum(e), filters))
    return float(np.mean(snrs))


def _filters() -> list[Floats]:
    filters = []
    bins = np.arange(_FFT // 2)
    for centre, bandwidth in zip(map(float, _CENTRES.split()), map(float, _BANDWIDTHS.split()), strict=True):
        middle = math.floor(centre * _FFT / _RATE)
        weights = np.exp(-11 * ((bins - middle) / (bandwidth * _FFT / _RATE)) ** 2 + math.log(70 / bandwidth))
        weights[weights <= math.exp(-30 / (2 * 2.303))] = 0
        filters.append(weights)
    return filters


def _magnitude(frame: Floats) -> Floats:
    spectrum: Floats = np.abs(np.fft.fft(frame, _FFT))[: _FFT // 2]
    return spectrum


def _llr(clean: Floats, enhanced: Floats) -> float:
    lags = _autocorrelation(clean)
    matrix = np.array([[lags[abs(row - column)] for column in range(_ORDER + 1)] for row in range(_ORDER + 1)])
    own, other = _predictor(lags), _predictor(_autocorrelation(enhanced))
    return math.log((other @ matrix @ other) / (own @ matrix @ own))


def _autocorrelation(frame: Floats) -> Floats:
    return np.array([np.dot(frame[: _LENGTH - lag], frame[lag:]) for lag in range(_ORDER + 1)])


def _predictor(lags: Floats) -> Floats:
    taps = np.zeros(_ORDER + 1)
    taps[0] = 1
    error = lags[0]
    for order in range(1, _ORDER + 1):
        reflection = -np.dot(taps[:order], lags[order:0:-1]) / error
        taps[: order + 1] = taps[: order + 1] + reflection * taps[: order + 1][::-1]
        error *= 1 - reflection**2
    return taps


def _levels(frame: Floats, filters: Floats) -> list[float]:
    power = (_magnitude(frame) / 32768) ** 2
    levels: list[float] = (10 * np.log10(np.maximum(filters @ power, 1e-10))).tolist()
    return levels


def _wss(clean: list[float], enhanced: list[float]) -> float:
    total, weight_sum = 0.0, 0.0
    clean_highest, enhanced_highest = max(clean), max(enhanced)
    for band in range(24):
        weight = (_weight(clean, band, clean_highest) + _weight(enhanced, band, enhanced_highest)) / 2
        difference = (clean[band + 1] - clean[band]) - (enhanced[band + 1] - enhanced[band])
        total += weight * difference**2
        weight_sum += weight
    return total / weight_sum


def _weight(levels: list[float], band: int, highest: float) -> float:
    at = band
    if levels[band + 1] > levels[band]:
        while at < 24 and levels[at + 1] > levels[at]:
            at += 1
        peak = levels[at - 1]
    else:
        while at >= 0 and levels[at + 1] <= levels[at]:
            at -= 1
        peak = levels[at + 1]
    return 20 / (20 + highest - levels[band]) / (1 + peak - levels[band])


def _ssnr(clean: Floats, enhanced: Floats) -> float:
    noise = float(np.sum((clean - enhanced) ** 2))
    snr = 10 * math.log10(float(np.sum(clean**2)) / (noise + 2**-52) + 2**-52)
    return min(35.0, max(-10.0, snr))


def _fwsnr(clean: Floats, enhanced: Floats, filters: list[Floats]) -> float:
    total, weight_sum = 0.0, 0.0
    for weights in filters:
        c, e = float(np.sum(clean * weights)), float(np.sum(enhanced * weights))
        weight = c**0.2
        total += weight * 10 * math.log10(c**2 / max((c - e) ** 2, 2**-52))
        weight_sum += weight
    return min(35.0, max(-10.0, total / weight_sum))
