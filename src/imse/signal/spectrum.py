"""Waveform to compressed spectrum and back in numpy (the paper's signal model, from MP-SENet, arXiv 2305.13686).

The short-time Fourier transform is centred with reflect padding, Hann window of 510 samples, hop of 100: at 16 kHz
256 bins and 160 frames per second. The network sees ``|X| ** 0.3`` and the wrapped phase.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
N_FFT = 510
HOP_LENGTH = 100
BINS = N_FFT // 2 + 1
COMPRESSION = 0.3

Floats = NDArray[np.float32]

_HOPS_PER_WINDOW = -(-N_FFT // HOP_LENGTH)


@cache
def _window() -> Floats:
    return np.hanning(N_FFT + 1)[:-1].astype(np.float32)


def stft(waveform: Floats) -> NDArray[np.complexfloating]:
    """Short-time Fourier transform of waveforms [B, samples] with at least one sample: [B, 1 + samples // 100, 256]."""
    padded = np.pad(waveform, [(0, 0), (N_FFT // 2, N_FFT // 2)], mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=1)[:, ::HOP_LENGTH]
    return np.fft.rfft(frames * _window(), axis=-1)


def compress(spectrum: NDArray[np.complexfloating]) -> tuple[Floats, Floats]:
    """Compressed magnitude and wrapped phase of a spectrum [B, T, 256], of its shape."""
    magnitude = np.abs(spectrum) ** COMPRESSION
    # The first and the last bin are real: +0 as imaginary part, so that a negative value has phase +pi, never -pi.
    spectrum.imag[..., [0, -1]] = 0
    return magnitude.astype(np.float32, copy=False), np.angle(spectrum).astype(np.float32, copy=False)


def istft(spectrum: NDArray[np.complexfloating], samples: int) -> Floats:
    """Inverse of `stft`: overlap-add, divided by the summed squares of the window.

    Args:
        spectrum: [B, T, 256]; the imaginary parts of its first and last bin do not matter.
        samples: Length of the result, at most ``100 * T + 99``.

    Returns:
        Waveform [B, samples].
    """
    frames = np.fft.irfft(spectrum, N_FFT, axis=-1) * _window()
    overlapped = _overlap_add(frames)
    envelope = _overlap_add(np.broadcast_to(_window() ** 2, (1, *frames.shape[1:])))
    kept = slice(N_FFT // 2, N_FFT // 2 + samples)
    return (overlapped[:, kept] / envelope[:, kept]).astype(np.float32, copy=False)


def analyse(waveform: Floats) -> tuple[Floats, Floats]:
    """Compressed magnitude and wrapped phase of a short-time Fourier transform.

    Args:
        waveform: [B, samples] at 16 kHz, at least one sample.

    Returns:
        Magnitude ``|X| ** 0.3`` and phase in radians, [B, 256, 1 + samples // 100] each.
    """
    magnitude, phase = compress(stft(waveform))
    return magnitude.transpose(0, 2, 1), phase.transpose(0, 2, 1)


def synthesise(magnitude: Floats, phase: Floats, samples: int) -> Floats:
    """Inverse of `analyse`.

    Args:
        magnitude: Compressed magnitude [B, 256, T].
        phase: Phase in radians [B, 256, T].
        samples: Length of the result, at most ``100 * T + 99``.

    Returns:
        Waveform [B, samples].
    """
    spectrum = magnitude ** (1 / COMPRESSION) * np.exp(1j * phase)
    return istft(spectrum.transpose(0, 2, 1), samples)


def _overlap_add(frames: NDArray[np.floating]) -> NDArray[np.floating]:
    """Sum of frames [B, T, 510], each 100 samples after the one before: [B, 100 * (T + 5)]."""
    batch, count, _ = frames.shape
    blocks = np.pad(frames, [(0, 0), (0, 0), (0, _HOPS_PER_WINDOW * HOP_LENGTH - N_FFT)])
    blocks = blocks.reshape(batch, count, _HOPS_PER_WINDOW, HOP_LENGTH)
    out = np.zeros((batch, count + _HOPS_PER_WINDOW - 1, HOP_LENGTH), frames.dtype)
    for hop in range(_HOPS_PER_WINDOW):
        out[:, hop : hop + count] += blocks[:, :, hop]
    return out.reshape(batch, -1)
