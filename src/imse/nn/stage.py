"""A stage of the U-Net: an embedding, transformer blocks and a residual connection around both."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn.constants import FEED_FORWARD_FACTOR, NORM_EPSILON


class ChannelNorm(nn.Module):
    """Division by the standard deviation over channels at each position, with a weight per channel.

    ``x / sqrt(var(x) + 1e-5) * w`` with the biased variance. As in the authors' "bias-free" layer norm, the mean is
    not subtracted in the numerator.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.var(1, correction=0, keepdim=True) + NORM_EPSILON)
        return x * scale * self.weight.view(-1, 1, 1)


class GatedFeedForward(nn.Module):
    """Feed-forward network whose hidden map is gated by the GELU of another one.

    A 1x1 convolution to two maps of h = floor(2.66 c) channels each, a depthwise 3x3 convolution, the product
    ``gelu(a) * b`` of the two maps, and a 1x1 convolution back to c channels. No biases.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = int(FEED_FORWARD_FACTOR * channels)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.depthwise = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.depthwise(self.project_in(x)).chunk(2, dim=1)
        projected: Tensor = self.project_out(F.gelu(gate) * value)
        return projected


class Block(nn.Module):
    """Transformer block: ``x = x + attention(norm1(x))``, then ``x + ffn(norm2(x))``.

    Args:
        channels: Width c.
        attention: Maps ([B, c, T, F], rotary table of the scale) to [B, c, T, F].

    Shape:
        - x: [B, c, T, F]; table: rotary table of the scale; output: [B, c, T, F].
    """

    def __init__(self, channels: int, attention: nn.Module) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.attention = attention
        self.norm2 = ChannelNorm(channels)
        self.ffn = GatedFeedForward(channels)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x), table)
        transformed: Tensor = x + self.ffn(self.norm2(x))
        return transformed


class Stage(nn.Module):
    """``x + blocks(embedding(x))``.

    Args:
        channels: Width c.
        embedding: Maps [B, c, T, F] to [B, c, T, F].
        attentions: One for each block, see `Block`.

    Shape:
        - x: [B, c, T, F]; table: rotary table of the scale; output: [B, c, T, F].
    """

    def __init__(self, channels: int, embedding: nn.Module, attentions: Iterable[nn.Module]) -> None:
        super().__init__()
        self.embedding = embedding
        self.blocks = nn.ModuleList(Block(channels, attention) for attention in attentions)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        y: Tensor = self.embedding(x)
        for block in self.blocks:
            y = block(y, table)
        return x + y
