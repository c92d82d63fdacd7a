"""A stage of the U-Net: an embedding, then transformer blocks, around which the stage adds its input."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn import compiled
from imse.nn.mala import MALA


class ChannelNorm(nn.Module):
    """Division by the standard deviation over channels at each position, with a weight per channel.

    As in the authors' "bias-free" layer norm, the mean is taken off inside the variance alone, not in the numerator:
    ``x / sqrt(var(x) + 1e-5) * w`` with the biased variance.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.var(1, correction=0, keepdim=True) + 1e-5)
        return x * scale * self.weight.view(-1, 1, 1)


class GatedFeedForward(nn.Module):
    """1x1 convolution to two maps of 2.66 c channels, depthwise 3x3, one map gated by the GELU of the other, 1x1 back.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = int(2.66 * channels)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.depthwise = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.depthwise(self.project_in(x)).chunk(2, dim=1)
        projected: Tensor = self.project_out(F.gelu(gate) * value)
        return projected


class Block(nn.Module):
    """Transformer block: attention and feed-forward, each on the normed input and added to it.

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
        fast = compiled.usable(self, x)
        if fast and isinstance(self.attention, MALA):
            x = compiled.mala(x, table, self.norm1, self.attention)
        else:
            x = x + self.attention(self.norm1(x), table)
        if fast:
            return compiled.feed_forward(x, self.norm2, self.ffn)
        enriched: Tensor = x + self.ffn(self.norm2(x))
        return enriched


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
