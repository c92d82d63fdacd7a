"""Degradations of recordings: microphone colour, band limits, rooms, clipping, telephony.

All work in batch on the device of their input, and draw no random numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imse.signal.spectrum import SAMPLE_RATE


class Colour:
    """A smooth random equaliser and a low-pass, as a gain on the spectrum of the whole segment.

    Args:
        samples: Samples of a segment.
        device: Device of the segments.
    """

    # Octaves from 62.5 Hz to 8 kHz: the gain is piecewise linear in dB over log-frequency between them.
    points = 8

    def __init__(self, samples: int, device: torch.device) -> None:
        self._samples = samples
        self._frequency = torch.fft.rfftfreq(samples, 1 / SAMPLE_RATE, device=device)
        octave = torch.log2(self._frequency.clamp(min=62.5) / 62.5)
        place = torch.arange(self.points, device=device).unsqueeze(-1)
        self._interpolate = (1 - (octave - place).abs()).clamp(min=0)  # hat functions [points, bins]

    def __call__(self, waveform: Tensor, gain_db: Tensor, cutoff: Tensor) -> Tensor:
        """Filter waveforms.

        Args:
            waveform: [B, samples].
            gain_db: Gain at each octave [B, points].
            cutoff: Frequency in Hz above which little is left [B]; infinite for none.

        Returns:
            Waveforms [B, samples].
        """
        gain = 10 ** (gain_db.to(waveform.device) @ self._interpolate / 20)
        slope = (cutoff.to(waveform.device).unsqueeze(-1) - self._frequency) / 100
        filtered: Tensor = torch.fft.irfft(torch.fft.rfft(waveform) * gain * torch.sigmoid(slope), n=self._samples)
        return filtered


def convolve(waveform: Tensor, response: Tensor) -> Tensor:
    """Causal convolution, cut to the waveform's length.

    Args:
        waveform: [B, samples].
        response: Impulse responses [B, taps].

    Returns:
        Waveforms [B, samples].
    """
    samples = waveform.shape[-1]
    size = samples + response.shape[-1] - 1
    convolved: Tensor = torch.fft.irfft(torch.fft.rfft(waveform, n=size) * torch.fft.rfft(response, n=size), n=size)
    return convolved[..., :samples]


def clip_peaks(waveform: Tensor, share: Tensor) -> Tensor:
    """Clip waveforms [B, samples] at a share [B, 1] of their largest absolute value."""
    limit = waveform.abs().amax(-1, keepdim=True) * share
    return waveform.clamp(-limit, limit)


def mu_law(waveform: Tensor, levels: int = 256) -> Tensor:
    """Quantise waveforms of full scale 1 as 8-bit mu-law telephony does (ITU-T G.711, continuous form)."""
    mu = levels - 1.0
    companded = waveform.sign() * torch.log1p(mu * waveform.abs().clamp(max=1)) / torch.log1p(torch.tensor(mu))
    companded = torch.round((companded + 1) / 2 * mu) / mu * 2 - 1
    return companded.sign() * torch.expm1(companded.abs() * torch.log1p(torch.tensor(mu))) / mu
