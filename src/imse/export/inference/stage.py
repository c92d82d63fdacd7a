"""Inference form of a transformer block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.export.inference.conv import convolution, depthwise
from imse.export.inference.mala import InferenceMALA
from imse.nn.constants import NORM_EPSILON
from imse.nn.mala import MALA
from imse.nn.stage import Block, GatedFeedForward

# Runtimes compute convolutions in blocks of as many channels as a vector register holds, up to 16. The feed-forward
# network is computed 32 hidden channels at a time, so that its maps stay in the cache.
_BLOCK, _PART = 16, 32


class InferenceChannelNorm(nn.Module):
    """`imse.nn.stage.ChannelNorm` without its weight: division by the standard deviation over channels.

    1x1 convolutions compute the sums over channels. A runtime's reductions would change the memory layout.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, channels: int, like: Tensor) -> None:
        super().__init__()
        ones = torch.ones(1, channels).to(like)
        self.centre = convolution((torch.eye(channels).to(like) - 1 / channels) / channels**0.5)
        self.sum = convolution(ones, NORM_EPSILON * ones[:, 0])

    def forward(self, x: Tensor) -> Tensor:
        centred = self.centre(x)
        return x * torch.sqrt(self.sum(centred * centred)).reciprocal()


class WeightedAttention(nn.Module):
    """Any attention of its input times a weight per channel.

    Shape:
        - x: [B, c, T, F]; table: rotary table of the scale; output: [B, c, T, F].
    """

    def __init__(self, attention: nn.Module, weight: Tensor) -> None:
        super().__init__()
        self.attention = attention
        self.weight = nn.Parameter(weight.view(-1, 1, 1).clone())

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        attended: Tensor = self.attention(x * self.weight, table)
        return attended


class InferenceFeedForward(nn.Module):
    """`GatedFeedForward` of its input times a weight per channel, plus a residual, in parts of 32 hidden channels.

    Gate and value have separate convolutions, since splitting one map in two would copy it. The hidden channels are
    padded with zeros to a multiple of 16.

    Shape:
        - x, residual: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, ffn: GatedFeedForward, weight: Tensor) -> None:
        super().__init__()
        hidden = ffn.project_out.in_channels
        padding = -hidden % _BLOCK
        parts = [slice(start, start + _PART) for start in range(0, hidden, _PART)]

        def branch(project_in: Tensor, filters: Tensor) -> nn.ModuleList:
            project_in, filters = F.pad(project_in, (0, 0, 0, padding)), F.pad(filters, (0, 0, 0, 0, 0, 0, 0, padding))
            return nn.ModuleList(nn.Sequential(convolution(project_in[p]), depthwise(filters[p])) for p in parts)

        project_in = ffn.project_in.weight[:, :, 0, 0] * weight
        filters = ffn.depthwise.weight
        self.gate = branch(project_in[:hidden], filters[:hidden])
        self.value = branch(project_in[hidden:], filters[hidden:])
        project_out = F.pad(ffn.project_out.weight[:, :, 0, 0], (0, padding))
        self.project_out = nn.ModuleList(convolution(project_out[:, p]) for p in parts)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        for gate, value, project_out in zip(self.gate, self.value, self.project_out, strict=True):
            residual = residual + project_out(F.gelu(gate(x)) * value(x))
        return residual


class InferenceBlock(nn.Module):
    """`imse.nn.stage.Block` with the norms' weights folded into the convolutions that follow them.

    Shape:
        - x: [B, c, T, F]; table: rotary table of the scale; output: [B, c, T, F].
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        weight1, weight2 = block.norm1.weight, block.norm2.weight
        self.norm = InferenceChannelNorm(weight1.numel(), like=weight1)
        attention = block.attention
        self.attention: nn.Module = (
            InferenceMALA(attention, weight1) if isinstance(attention, MALA) else WeightedAttention(attention, weight1)
        )
        self.ffn = InferenceFeedForward(block.ffn, weight2)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        x = x + self.attention(self.norm(x), table)
        transformed: Tensor = self.ffn(self.norm(x), x)
        return transformed
