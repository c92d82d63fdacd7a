"""Inference forms of what a stage of the U-Net is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn.idconv import IDConv
from imse.nn.inference.attention import InferenceMALA
from imse.nn.inference.conv import convolution, depthwise
from imse.nn.mala import MALA
from imse.nn.stage import Block, GatedFeedForward
from imse.nn.unet import Down

# Convolutions run in blocks of 16 channels where a vector register holds 16 numbers. A part of 32 hidden channels is
# computed from end to end before the next: its maps stay in the cache, and fewer are alive at once.
_BLOCK, _PART = 16, 32


class Deviation(nn.Module):
    """`imse.nn.stage.ChannelNorm` without its weight: division by the standard deviation over channels.

    The sums over channels are 1x1 convolutions, which need no change of memory layout; a runtime's reductions do.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, channels: int, like: Tensor) -> None:
        super().__init__()
        ones = torch.ones(1, channels).to(like)
        self.centre = convolution((torch.eye(channels).to(like) - 1 / channels) / channels**0.5)
        self.sum = convolution(ones, 1e-5 * ones[:, 0])

    def forward(self, x: Tensor) -> Tensor:
        centred = self.centre(x)
        return x * torch.sqrt(self.sum(centred * centred)).reciprocal()


class Weighted(nn.Module):
    """Any attention, its input times a weight per channel.

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
    """`GatedFeedForward` of its input times a weight per channel, added to the block's running sum, in parts.

    Gate and value have convolutions of their own, as cutting one map in two would copy it. Hidden channels are
    filled up with zeros to whole blocks.

    Shape:
        - x, total: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, ffn: GatedFeedForward, weight: Tensor) -> None:
        super().__init__()
        hidden = ffn.project_out.in_channels
        fill = -hidden % _BLOCK
        parts = [slice(start, start + _PART) for start in range(0, hidden, _PART)]

        def branch(project_in: Tensor, filters: Tensor) -> nn.ModuleList:
            project_in, filters = F.pad(project_in, (0, 0, 0, fill)), F.pad(filters, (0, 0, 0, 0, 0, 0, 0, fill))
            return nn.ModuleList(nn.Sequential(convolution(project_in[p]), depthwise(filters[p])) for p in parts)

        project_in = ffn.project_in.weight[:, :, 0, 0] * weight
        filters = ffn.depthwise.weight
        self.gate = branch(project_in[:hidden], filters[:hidden])
        self.value = branch(project_in[hidden:], filters[hidden:])
        project_out = F.pad(ffn.project_out.weight[:, :, 0, 0], (0, fill))
        self.project_out = nn.ModuleList(convolution(project_out[:, p]) for p in parts)

    def forward(self, x: Tensor, total: Tensor) -> Tensor:
        for gate, value, project_out in zip(self.gate, self.value, self.project_out, strict=True):
            total = total + project_out(F.gelu(gate(x)) * value(x))
        return total


class InferenceBlock(nn.Module):
    """`imse.nn.stage.Block`, the norms' weights folded into the convolutions that follow them.

    Shape:
        - x: [B, c, T, F]; table: rotary table of the scale; output: [B, c, T, F].
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        weight1, weight2 = block.norm1.weight, block.norm2.weight
        self.norm = Deviation(weight1.numel(), like=weight1)
        attention = block.attention
        self.attention: nn.Module = (
            InferenceMALA(attention, weight1) if isinstance(attention, MALA) else Weighted(attention, weight1)
        )
        self.ffn = InferenceFeedForward(block.ffn, weight2)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        x = x + self.attention(self.norm(x), table)
        enriched: Tensor = self.ffn(self.norm(x), x)
        return enriched


class InferenceIDConv(nn.Sequential):
    """`IDConv` as convolutions one after the other, each the identity on the channels that are not its own.

    Taking the map apart and joining it again would cost more than the additional products.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, idconv: IDConv) -> None:
        channels = idconv.pointwise.out_channels
        convs = []
        start = idconv.split[0]
        for part in (idconv.square, idconv.frequency, idconv.time):
            own = slice(start, start + part.out_channels)
            start = own.stop
            kernels = torch.zeros(channels, *part.weight.shape[1:]).to(part.weight)
            bias = torch.zeros(channels).to(part.weight)
            kernels[:, :, kernels.shape[2] // 2, kernels.shape[3] // 2] = 1
            assert part.bias is not None
            kernels[own], bias[own] = part.weight, part.bias
            convs.append(depthwise(kernels, bias))
        super().__init__(idconv.pointwise, *convs)


class InferenceDown(nn.Sequential):
    """`Down` with 1x1 convolution and pixel unshuffle in one: a 2x2 convolution with stride 2.

    Shape:
        - x: [B, a, T, F]; output: [B, b, T / 2, F / 2].
    """

    def __init__(self, down: Down) -> None:
        depthwise, pointwise = down[0], down[1]
        assert isinstance(pointwise, nn.Conv2d)
        weight = pointwise.weight[:, :, 0, 0]
        # Channel 4k + 2i + j of the unshuffled map is channel k at frame 2t + i and bin 2f + j.
        kernels = torch.zeros(*weight.shape, 2, 2, 4).to(weight)
        for i in range(2):
            for j in range(2):
                kernels[:, :, i, j, 2 * i + j] = weight
        super().__init__(depthwise, convolution(kernels.permute(0, 4, 1, 2, 3).flatten(0, 1), stride=2))
