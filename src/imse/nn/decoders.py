"""The two decoders: a bounded mask for the magnitude, an angle for the phase (MP-SENet, arXiv 2305.13686)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn import compiled
from imse.nn.convolution import Convolution
from imse.nn.dense import DenseBlock, norm_prelu


class Expand(nn.Module):
    """Double the frequency resolution by sub-pixel convolution.

    The authors expand c to 4c channels, pixel-shuffle to twice the frames and bins, and let a depthwise (1, 3)
    convolution with stride 2 in time drop every odd frame again. Only the channels that land on even frames are
    computed here: the result is the same, and the other half of `expand.weight` is kept for the published
    parameter count and files alone.

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
        if compiled.usable(self, x):
            return compiled.expand(x, self)
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
        self.merge = Convolution(channels, 1, 1)
        self.norm = nn.InstanceNorm2d(1, affine=True)
        self.prelu = nn.PReLU(1)
        self.out = Convolution(1, 1, 1)
        self.sigmoid = LearnableSigmoid(bins, ceiling=2.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.merge(self.expand(self.dense(x)))
        x = self.out(norm_prelu(x, self.norm, self.prelu))
        mask: Tensor = self.sigmoid(x.squeeze(1).transpose(1, 2))
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
        self.norm = nn.InstanceNorm2d(channels, affine=True)
        self.prelu = nn.PReLU(channels)
        self.real = Convolution(channels, 1, 1)
        self.imag = Convolution(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = norm_prelu(self.expand(self.dense(x)), self.norm, self.prelu)
        real, imag = self.real(x), self.imag(x)
        if real.dtype == torch.bfloat16:  # autocast would leave the angle 8 bits
            real, imag = real.float(), imag.float()
        return torch.atan2(imag, real).squeeze(1).transpose(1, 2)
