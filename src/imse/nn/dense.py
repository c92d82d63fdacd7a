"""Dense blocks and the dense encoder (MP-SENet, arXiv 2305.13686)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imse.nn.constants import DENSE_DEPTH, NORM_EPSILON


class ConvNormPReLU(nn.Sequential):
    """Convolution with bias, instance norm (affine) over time and frequency, PReLU with a slope per channel.

    Shape:
        - input: [B, in_channels, T, F]; output: [B, out_channels, T, F], divided by the stride.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding, dilation=dilation),
            nn.InstanceNorm2d(out_channels, NORM_EPSILON, affine=True),
            nn.PReLU(out_channels),
        )


class DenseBlock(nn.Module):
    """Four 3x3 layers with dilations 1, 2, 4 and 8 along time.

    The input of each layer is the concatenation of all maps before it, newest first.

    Shape:
        - x: [B, c, T, F]; output, of the last layer alone: [B, c, T, F].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ConvNormPReLU(channels * (i + 1), channels, 3, padding=(2**i, 1), dilation=(2**i, 1))
            for i in range(DENSE_DEPTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = x
        for layer in self.layers:
            x = layer(maps)
            maps = torch.cat([x, maps], dim=1)
        return x


class DenseEncoder(nn.Module):
    """Compressed magnitude and phase to features at half the frequency resolution.

    Shape:
        - x: [B, 2, T, bins]; output: [B, c, T, bins / 2].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.entry = ConvNormPReLU(2, channels, 1)
        self.dense = DenseBlock(channels)
        self.halve = ConvNormPReLU(channels, channels, (1, 3), stride=(1, 2), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.halve(self.dense(self.entry(x)))
        return halved
