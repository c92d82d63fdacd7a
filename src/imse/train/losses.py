"""The terms of the objective (MP-SENet, arXiv 2305.13686, as used by IMSE, arXiv 2511.14515), in float32.

Every term is a mean over all elements. Spectra are compressed: magnitude ``|X| ** 0.3`` and wrapped phase in radians,
[B, bins, T] each.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from imse.train.bands import speech_frames


def magnitude_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error of compressed magnitudes [B, bins, T]."""
    return F.mse_loss(estimate, clean)


def anti_wrap(x: Tensor) -> Tensor:
    """Distance of an angle in radians from the nearest multiple of 2 pi, in [0, pi]."""
    return (x - 2 * math.pi * torch.round(x / (2 * math.pi))).abs()


def phase_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """Anti-wrapped error of the phase, its group delay and its instantaneous angular frequency, summed.

    The difference along an axis is ``[-x0, x0 - x1, x1 - x2, ...]``: group delay along frequency, angular frequency
    along time. As the differences are linear, they are taken of the error (MP-SENet, equations 5 to 7).

    Args:
        estimate: Estimated phase in radians [B, bins, T].
        clean: Clean phase in radians [B, bins, T].
    """
    error = estimate - clean
    group_delay = torch.diff(error, dim=1, prepend=torch.zeros_like(error[:, :1]))
    angular_frequency = torch.diff(error, dim=2, prepend=torch.zeros_like(error[:, :, :1]))
    return anti_wrap(error).mean() + anti_wrap(group_delay).mean() + anti_wrap(angular_frequency).mean()


def cartesian(magnitude: Tensor, phase: Tensor) -> Tensor:
    """Real and imaginary part [B, 2, bins, T] of a spectrum given by magnitude and phase [B, bins, T]."""
    return torch.stack([magnitude * torch.cos(phase), magnitude * torch.sin(phase)], dim=1)


def complex_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error of compressed complex spectra, both as `cartesian` [B, 2, bins, T]."""
    return F.mse_loss(estimate, clean)


def consistency_loss(estimate: Tensor, analysed: Tensor) -> Tensor:
    """Mean squared distance of an estimated spectrum from that of its own waveform (MP-SENet's later version).

    Not every array of numbers is the short-time spectrum of a waveform. This term draws the estimate to one that is.

    Args:
        estimate: Compressed spectrum from the network, as `cartesian` [B, 2, bins, T].
        analysed: Compressed spectrum of the waveform that the estimate synthesises to, likewise.
    """
    return F.mse_loss(estimate, analysed)


def si_sdr_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """Negative scale-invariant signal-to-distortion ratio in dB (Le Roux et al., arXiv 1811.02508), mean over B.

    Args:
        estimate: Waveforms [B, samples].
        clean: Waveforms [B, samples].
    """
    energy = clean.square().sum(-1, keepdim=True)
    target = (estimate * clean).sum(-1, keepdim=True) / (energy + 1e-8) * clean
    ratio = target.square().sum(-1) / ((estimate - target).square().sum(-1) + 1e-8)
    return -10 * torch.log10(ratio + 1e-8).mean()


def level_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """Squared error of the level in bel, mean over B: 0.01 for 1 dB, 1 for 10 dB.

    The level is the energy of the frames with speech. An utterance without any counts as 0. The gradient scales all
    frames of an utterance by one factor, so the term acts on the gain alone.

    Args:
        estimate: Power spectra ``|X| ** 2`` [B, 256, T] in the STFT of `imse.nn.spectrum`.
        clean: Power spectra, likewise.
    """
    active = speech_frames(clean)
    energy, target = ((power.sum(1) * active).sum(1) for power in (estimate, clean))
    # The error is limited to 40 dB, as the gradient of a nearly silent estimate would otherwise have no bound.
    error = torch.log10((energy + 1e-4 * target + 1e-8) / ((1 + 1e-4) * target + 1e-8))
    return error.square().mean()
