"""The two decoders: a bounded mask for the magnitude, an angle for the phase (MP-SENet, arXiv 2305.13686)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn.constants import MASK_CEILING, NORM_EPSILON
from imse.nn.dense import DenseBlock


class Expand(nn.Module):
    """Double the frequency resolution by sub-pixel convolution.

    The authors expand c to 4c channels by a 1x1 convolution and pixel-shuffle them to twice the frames and bins. A
    depthwise (1, 3) convolution with stride 2 in time then drops every odd frame. Here only the channels that land on
    even frames are computed, which gives the same result. The other half of `expand.weight` has no effect; it is kept
    so that published files fit.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, 2F].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(
            channels, channels, (1, 3), stride=(2, 1), padding=(0, 1), groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, frames, bins = x.shape
        # Channel 4k + 2i + j of the expansion becomes channel k at frame 2t + i and bin 2f + j: keep i = 0.
        even = self.expand.weight.view(channels, 2, 2, channels, 1, 1)[:, 0].flatten(0, 1)
        left_right = F.conv2d(x, even).view(batch, channels, 2, frames, bins)
        doubled = left_right.permute(0, 1, 3, 4, 2).flatten(3)
        return F.conv2d(doubled, self.depthwise.weight, padding=(0, 1), groups=channels)


class LearnableSigmoid(nn.Module):
    """``ceiling * sigmoid(slope * x)`` with one learnable slope per row.

    Shape:
        - x: [B, rows, ...]; output: x's shape.
    """

    def __init__(self, rows: int, ceiling: float) -> None:
        super().__init__()
        self.ceiling = ceiling
        self.slope = nn.Parameter(torch.ones(rows, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.ceiling * torch.sigmoid(self.slope * x)


class MagnitudeDecoder(nn.Module):
    """Features to a mask between 0 and 2 for the compressed magnitude.

    Shape:
        - x: [B, c, T, bins / 2]; output: [B, bins, T].
    """

    def __init__(self, channels: int, bins: int) -> None:
        super().__init__()
        self.dense = DenseBlock(channels)
        self.expand = Expand(channels)
        self.merge = nn.Conv2d(channels, 1, 1)
        self.norm = nn.InstanceNorm2d(1, NORM_EPSILON, affine=True)
        self.prelu = nn.PReLU(1)
        self.out = nn.Conv2d(1, 1, 1)
        self.sigmoid = LearnableSigmoid(bins, ceiling=MASK_CEILING)

    def features(self, x: Tensor) -> Tensor:
        """The map [B, 1, T, bins] that the mask is computed from."""
        activated: Tensor = self.prelu(self.norm(self.merge(self.expand(self.dense(x)))))
        return activated

    def forward(self, x: Tensor) -> Tensor:
        mask: Tensor = self.sigmoid(self.out(self.features(x)).squeeze(1).transpose(1, 2))
        return mask


class PhaseDecoder(nn.Module):
    """Features to a wrapped phase, the angle of two maps taken as real and imaginary part.

    Shape:
        - x: [B, c, T, bins / 2]; output in radians: [B, bins, T].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dense = DenseBlock(channels)
        self.expand = Expand(channels)
        self.norm = nn.InstanceNorm2d(channels, NORM_EPSILON, affine=True)
        self.prelu = nn.PReLU(channels)
        self.real = nn.Conv2d(channels, 1, 1)
        self.imag = nn.Conv2d(channels, 1, 1)

    def features(self, x: Tensor) -> Tensor:
        """The maps [B, c, T, bins] that real and imaginary part are computed from."""
        activated: Tensor = self.prelu(self.norm(self.expand(self.dense(x))))
        return activated

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        real, imag = self.real(x), self.imag(x)
        if real.dtype == torch.bfloat16:  # under autocast: an angle needs more than its 8 bits
            real, imag = real.float(), imag.float()
        return torch.atan2(imag, real).squeeze(1).transpose(1, 2)
