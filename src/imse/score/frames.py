"""Frames of 20 ms: levels of the recording as it is, and levels in bands of speech and voicing at 16 kHz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imse.audio import Block
from imse.signal.spectrum import SAMPLE_RATE

FRAMES_PER_SECOND = 50
_HOP = SAMPLE_RATE // FRAMES_PER_SECOND
_LENGTH = 512
_N_FFT = 2 * _LENGTH  # so that the autocorrelation is not circular
# Lags of pitches from 80 to 400 Hz, and the band that periodicity is looked for in.
_LAGS = slice(SAMPLE_RATE // 400, SAMPLE_RATE // 80)
_VOICED_HZ = (80, 1500)
# Edges in Hz of the critical bands from 100 Hz (Zwicker, 1961), up to half the rate.
_EDGES_HZ = (
    *(100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3700, 4400, 5300, 6400),
    *(7700,),
)
BANDS_HZ = np.array(_EDGES_HZ)
"""Edges of the bands, [B + 1]."""

_DIGITAL_SILENCE = 2**-32  # half a step of 16 bits

Float32s = NDArray[np.float32]


@dataclass(frozen=True)
class SpeechFrames:
    """Frames of a signal at 16 kHz.

    Attributes:
        bands: Power in critical bands, [T, B].
        voicing: Largest autocorrelation at a lag of a pitch, [T]: 1 for a periodic signal.
    """

    bands: Float32s
    voicing: Float32s


class LevelMeter:
    """Power of frames of 20 ms, the mean over channels, without direct current.

    Args:
        sample_rate: In Hz.
        channels: Number of channels.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._starts = np.round(np.arange(FRAMES_PER_SECOND) * sample_rate / FRAMES_PER_SECOND).astype(int)
        self._sum = np.zeros(channels)
        self._samples = 0
        self._means: list[NDArray[np.float64]] = []
        self._squares: list[NDArray[np.float64]] = []

    def add(self, block: Block) -> None:
        """Take the next second of samples [sample_rate, channels], or what is left of it."""
        samples = block.astype(np.float64)
        starts = self._starts[self._starts < len(samples)]
        counts = np.diff([*starts, len(samples)])[:, None]
        self._means.append(np.add.reduceat(samples, starts) / counts)
        self._squares.append(np.add.reduceat(samples**2, starts) / counts)
        self._sum += samples.sum(axis=0)
        self._samples += len(samples)

    def power(self) -> NDArray[np.float64]:
        """Power of each frame [T], full scale at 1; 0 for digital silence, whatever the direct current is."""
        constant = self._sum / self._samples
        squares = np.concatenate(self._squares)
        moved = squares - 2 * constant * np.concatenate(self._means) + constant**2
        power: NDArray[np.float64] = np.maximum(moved, 0).mean(axis=1)
        return np.where(squares.mean(axis=1) > _DIGITAL_SILENCE, power, 0)


class SpeechMeter:
    """Power in critical bands, and voicing, of frames of a signal with one channel at 16 kHz: 32 ms every 20 ms."""

    def __init__(self) -> None:
        window = np.hanning(_LENGTH + 1)[:-1]
        self._window = window / np.sqrt(np.sum(window**2) * _N_FFT / 2)
        self._edges = np.round(BANDS_HZ * _N_FFT / SAMPLE_RATE).astype(int)
        bins_hz = np.arange(_N_FFT // 2 + 1) * SAMPLE_RATE / _N_FFT
        self._is_voiced_band = (bins_hz >= _VOICED_HZ[0]) & (bins_hz <= _VOICED_HZ[1])
        self._window_correlation = _autocorrelation(np.abs(np.fft.rfft(window, _N_FFT)) ** 2)
        self._held = np.zeros((_LENGTH - _HOP) // 2)
        self._samples = 0
        self._bands: list[Float32s] = []
        self._voicing: list[Float32s] = []

    def add(self, block: Block) -> None:
        """Take the next samples [samples]."""
        self._samples += len(block)
        self._held = np.concatenate([self._held, block])
        if len(self._held) < _LENGTH:
            return
        frames = np.lib.stride_tricks.sliding_window_view(self._held, _LENGTH)[::_HOP]
        power = np.abs(np.fft.rfft(frames * self._window, _N_FFT)) ** 2
        self._bands.append(np.add.reduceat(power, self._edges, axis=1)[:, :-1].astype(np.float32))
        correlation = _autocorrelation(power * self._is_voiced_band) / self._window_correlation
        self._voicing.append(correlation[:, _LAGS].max(axis=1).astype(np.float32))
        self._held = self._held[len(frames) * _HOP :]

    def frames(self) -> SpeechFrames:
        """All frames; the last may be partly beyond the end. Nothing can be added after."""
        count = -(-self._samples // _HOP)
        self.add(np.zeros(_LENGTH))
        return SpeechFrames(np.concatenate(self._bands)[:count], np.concatenate(self._voicing)[:count])


def _autocorrelation(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Autocorrelation of each power spectrum [..., F], 1 at lag 0: [..., 512]."""
    correlation: NDArray[np.float64] = np.fft.irfft(power)[..., :_LENGTH]
    return correlation / (correlation[..., :1] + np.finfo(np.float64).tiny)
