"""The metric discriminator (MetricGAN, arXiv 1905.04874): a network that predicts PESQ from two spectra.

PESQ has no gradient. The discriminator is trained to predict the PESQ of the network's own estimates, and the network
is trained through its gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from imse.nn.decoders import LearnableSigmoid

_WIDTHS = (2, 16, 32, 64, 128)


class Discriminator(nn.Module):
    """Predicted quality of one spectrum given the clean one, 1 for no difference.

    Shape:
        - clean, other: compressed magnitudes [B, bins, T] of at least 16 bins and frames; output: [B].
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(
                layer
                for narrow, wide in pairwise(_WIDTHS)
                for layer in (
                    spectral_norm(nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False)),
                    nn.InstanceNorm2d(wide, affine=True),
                    nn.PReLU(wide),
                )
            )
        )
        self.score = nn.Sequential(
            spectral_norm(nn.Linear(_WIDTHS[-1], 64)),
            nn.Dropout(0.3),
            nn.PReLU(64),
            spectral_norm(nn.Linear(64, 1)),
        )
        self.sigmoid = LearnableSigmoid(1, ceiling=1.0)

    def forward(self, clean: Tensor, other: Tensor) -> Tensor:
        pooled = self.features(torch.stack([clean, other], dim=1)).amax((2, 3))
        score: Tensor = self.sigmoid(self.score(pooled)).squeeze(1)
        return score


@dataclass(frozen=True)
class ScoredBatch:
    """Estimates of an earlier step with their PESQ: what the discriminator learns from.

    Attributes:
        clean: Compressed magnitudes [B, bins, T].
        estimate: Compressed magnitudes [B, bins, T], detached.
        quality: ``(PESQ - 1) / 3.5`` [B], nan where PESQ failed.
    """

    clean: Tensor
    estimate: Tensor
    quality: Tensor


def discriminator_loss(discriminator: nn.Module, scored: ScoredBatch) -> Tensor:
    """Squared error for clean pairs, whose quality is 1, plus that for estimates.

    Where PESQ of one of the batch failed, only the first term is used, as the authors do.
    """
    # One pass over both, as instance norm keeps samples apart and DDP wants one forward per backward.
    clean = torch.cat([scored.clean, scored.clean])
    same, predicted = discriminator(clean, torch.cat([scored.clean, scored.estimate])).chunk(2)
    known = scored.quality.isfinite().all()
    # A failed batch is masked instead of skipped: no branch that would have to wait for the device.
    error = F.mse_loss(predicted, torch.where(known, scored.quality, predicted.detach()))
    return F.mse_loss(same, torch.ones_like(same)) + error


def metric_loss(discriminator: nn.Module, clean: Tensor, estimate: Tensor) -> Tensor:
    """Mean squared error between the discriminator's score of an estimate and 1, the score of a perfect one.

    Args:
        discriminator: A `Discriminator`.
        clean: Compressed magnitudes [B, bins, T].
        estimate: Compressed magnitudes [B, bins, T].
    """
    score = discriminator(clean, estimate)
    return F.mse_loss(score, torch.ones_like(score))
