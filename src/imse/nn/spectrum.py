"""Waveform to compressed spectrum and back in torch: `imse.signal.spectrum`, which uses numpy, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from imse.signal.spectrum import COMPRESSION, HOP_LENGTH, N_FFT


def analyse(waveform: Tensor) -> tuple[Tensor, Tensor]:
    """Compressed magnitude and wrapped phase of the centred, reflect-padded short-time Fourier transform.

    Args:
        waveform: [B, samples] at 16 kHz with more than 255 samples.

    Returns:
        Magnitude ``|X| ** 0.3`` and phase in radians, [B, 256, 1 + samples // 100] each.
    """
    return compress(stft(waveform))


def synthesise(magnitude: Tensor, phase: Tensor, samples: int) -> Tensor:
    """Inverse of `analyse`.

    Args:
        magnitude: Compressed magnitude [B, 256, T].
        phase: Phase in radians [B, 256, T].
        samples: Length of the result, at most ``100 * T + 99``.

    Returns:
        Waveform [B, samples].
    """
    spectrum = torch.polar(magnitude.float() ** (1 / COMPRESSION), phase.float())
    window = torch.hann_window(N_FFT, device=magnitude.device)
    return torch.istft(spectrum, N_FFT, HOP_LENGTH, window=window, length=samples)


def stft(waveform: Tensor) -> Tensor:
    """Complex spectrum [B, 256, 1 + samples // 100] of waveforms [B, samples] (Hann window of 510, hop 100)."""
    window = torch.hann_window(N_FFT, device=waveform.device)
    return torch.stft(waveform, N_FFT, HOP_LENGTH, window=window, return_complex=True)


def compress(spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """Compressed magnitude and wrapped phase of a complex spectrum [B, 256, T].

    The magnitude has the gradient 0 where the spectrum is 0; the derivative of its formula is infinite there.
    """
    power = spectrum.real.square() + spectrum.imag.square()
    silent = power == 0
    magnitude = torch.where(silent, 1.0, power) ** (COMPRESSION / 2)
    # The first and the last bin are real. Their imaginary part is set to +0, so that negative values have phase +pi.
    inner = spectrum.imag[:, 1:-1]
    edge = torch.zeros_like(spectrum.real[:, :1])
    phase = torch.atan2(torch.cat([edge, inner, edge], dim=1), spectrum.real)
    return torch.where(silent, 0.0, magnitude), phase
