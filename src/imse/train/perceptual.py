"""A differentiable relative of PESQ: the disturbance between two sounds in the loudness domain.

The chain is that of PESQ (ITU-T P.862, sections 10.2.2 to 10.2.10; as a loss: Martin-Donas et al., "A Deep Learning
Loss Function Based on the Perceptual Evaluation of the Speech Quality", IEEE SPL 2018): power spectrum, Bark bands,
compensation of linear filtering, Zwicker loudness, symmetric and asymmetric disturbance with a dead zone. Two things
are our own: bands and hearing threshold follow published formulas (Traunmueller 1990, Terhardt 1979) instead of the
Recommendation's tables, and neither time alignment nor gain compensation is done, as the estimate is aligned with its
target and its level has to be right.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imse.train.bands import share_bins

_BANDS = 49
_EXPONENT = 0.23  # of Zwicker's loudness
_SONES = 0.1866  # scale of the loudness that makes 1 sone of 40 dB at 1 kHz
_SPEECH_LEVEL_DB = 65.0  # of active speech above 0 dB, where P.862's alignment and power scale put it
_DEAD_ZONE = 0.25
_SYMMETRIC, _ASYMMETRIC = 0.1, 0.0309  # weights of the two disturbances in the score
_CEILING = 45.0  # of a frame's disturbance


def bark(hertz: Tensor) -> Tensor:
    """Critical-band rate in Bark (Traunmueller 1990)."""
    return 26.81 * hertz / (1960 + hertz) - 0.53


def hearing_threshold_db(hertz: Tensor) -> Tensor:
    """Absolute threshold of hearing in dB of sound pressure level (Terhardt 1979)."""
    k = hertz / 1000
    return 3.64 * k**-0.8 - 6.5 * torch.exp(-0.6 * (k - 3.3).square()) + 1e-3 * k**4


class PerceptualLoss(nn.Module):
    """Weighted symmetric and asymmetric disturbance, in points of the raw PESQ scale (0 for equal sounds).

    Shape:
        - estimate, clean: power spectra ``|X| ** 2`` [B, 256, T] in the STFT of `imse.nn.spectrum`.
        - Output: a scalar.
    """

    bands: Tensor
    threshold: Tensor
    width: Tensor

    def __init__(self) -> None:
        super().__init__()
        edges = torch.linspace(float(bark(torch.tensor(80.0))), float(bark(torch.tensor(7_900.0))), _BANDS + 1)
        centre = (edges[1:] + edges[:-1]) / 2
        centre_hertz = 1960 * (centre + 0.53) / (26.28 - centre)
        self.register_buffer("bands", share_bins(edges, bark), persistent=False)
        self.register_buffer("threshold", 10 ** (hearing_threshold_db(centre_hertz) / 10), persistent=False)
        self.register_buffer("width", edges.diff(), persistent=False)

    def loudness(self, power: Tensor) -> Tensor:
        """Loudness [B, 49, T] of band powers [B, 49, T] on the scale of the hearing threshold (Zwicker)."""
        threshold = self.threshold.unsqueeze(-1)
        gain = _SONES * (threshold / 0.5) ** _EXPONENT
        return gain * torch.relu((0.5 + 0.5 * power / threshold) ** _EXPONENT - 1)

    def forward(self, estimate: Tensor, clean: Tensor) -> Tensor:
        clean, estimate = self.bands @ clean, self.bands @ estimate
        frame_power = clean.sum(1, keepdim=True)
        loudest = frame_power.amax(-1, keepdim=True)
        active = frame_power > loudest * 1e-4
        speech_power = (frame_power * active).sum(-1, keepdim=True) / active.sum(-1, keepdim=True).clamp(min=1)
        calibration = 10 ** (_SPEECH_LEVEL_DB / 10) / (speech_power + 1e-6)
        clean, estimate = clean * calibration, estimate * calibration

        loud_clean, loud_estimate = self.loudness(clean), self.loudness(estimate)
        difference = loud_estimate - loud_clean
        dead_zone = _DEAD_ZONE * torch.minimum(loud_estimate, loud_clean)
        # Soft threshold: nothing inside the dead zone, the distance to its edge outside.
        disturbance = difference.abs().sub(dead_zone).relu()
        # What is added disturbs more than what is missing.
        ratio = ((estimate.detach() + 50) / (clean + 50)) ** 1.2
        asymmetry = torch.where(ratio < 3, 0.0, ratio.clamp(max=12))
        width = self.width.unsqueeze(-1)
        total = width.sum()
        symmetric = ((disturbance * width).square().sum(1) / total + 1e-6).sqrt() * total
        asymmetric = (disturbance * asymmetry * width).sum(1)
        audible = ((frame_power * calibration).squeeze(1) / 1e7 + 1e-2) ** -0.04
        return (_SYMMETRIC * _limit(symmetric * audible) + _ASYMMETRIC * _limit(asymmetric * audible)).mean()


def _limit(disturbance: Tensor) -> Tensor:
    """At most 45, as in PESQ, but approached smoothly, so that a bad frame still has a gradient."""
    return disturbance / (1 + disturbance / _CEILING)
