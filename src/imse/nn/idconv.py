"""Inception depthwise convolution (IDConv), the embedding of IMSE.

From InceptionNeXt (Yu et al., arXiv 2303.16900); in IMSE it replaces MUSE's deformable embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imse.nn.constants import BAND, BRANCH_DIVISOR


class IDConv(nn.Module):
    """A 1x1 convolution, then four parallel branches: identity, 3x3, a band along frequency and a band along time.

    With g = c / 8, the first c - 3g channels are left as they are, and g channels each pass a depthwise 3x3, 1x11
    (frequency) and 11x1 (time) convolution.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        g = channels // BRANCH_DIVISOR
        self.split = [channels - 3 * g, g, g, g]
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.square = nn.Conv2d(g, g, 3, padding=1, groups=g)
        self.frequency = nn.Conv2d(g, g, (1, BAND), padding=(0, BAND // 2), groups=g)
        self.time = nn.Conv2d(g, g, (BAND, 1), padding=(BAND // 2, 0), groups=g)

    def forward(self, x: Tensor) -> Tensor:
        identity, square, frequency, time = self.pointwise(x).split(self.split, dim=1)
        return torch.cat([identity, self.square(square), self.frequency(frequency), self.time(time)], dim=1)
