"""Inference forms of dense blocks and of the layers that they are made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.export.inference.conv import convolution
from imse.nn.dense import ConvNormPReLU, DenseBlock


class InferencePReLU(nn.Module):
    """PReLU with a slope per channel, made of operations that every runtime vectorises.

    Shape:
        - x: [B, c, ...]; output: x's shape.
    """

    def __init__(self, prelu: nn.PReLU) -> None:
        super().__init__()
        self.slope = nn.Parameter(prelu.weight.view(-1, 1, 1).clone())
        self.convex = bool((prelu.weight <= 1).all())

    def forward(self, x: Tensor) -> Tensor:
        if self.convex:
            return torch.maximum(x, x * self.slope)
        return F.relu(x) * (1 - self.slope) + x * self.slope


class InferenceConvNormPReLU(nn.Sequential):
    """`ConvNormPReLU` with `InferencePReLU`."""

    def __init__(self, layer: ConvNormPReLU) -> None:
        conv, norm, prelu = layer
        assert isinstance(prelu, nn.PReLU)
        super().__init__(conv, norm, InferencePReLU(prelu))


class InferenceDenseLayer(nn.Module):
    """A layer of `DenseBlock` as a sum of convolutions, one for each map, so that the maps are not concatenated.

    Shape:
        - maps: [B, c, T, F] each; output: [B, c, T, F].
    """

    def __init__(self, layer: ConvNormPReLU) -> None:
        super().__init__()
        conv, norm, prelu = layer
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(prelu, nn.PReLU)
        assert not isinstance(conv.padding, str)
        padding, dilation = tuple(conv.padding), conv.dilation
        kernels = conv.weight.chunk(conv.in_channels // conv.out_channels, dim=1)
        # The instance norm cancels the bias.
        self.convs = nn.ModuleList(convolution(part, padding=padding, dilation=dilation) for part in kernels)
        self.norm = norm
        self.prelu = InferencePReLU(prelu)

    def forward(self, maps: list[Tensor]) -> Tensor:
        convolved = [conv(x) for conv, x in zip(self.convs, maps, strict=True)]
        activated: Tensor = self.prelu(self.norm(sum(convolved[1:], convolved[0])))
        return activated


class InferenceDenseBlock(nn.Module):
    """`DenseBlock` of `InferenceDenseLayer`.

    Shape:
        - x: [B, c, T, F]; output, of the last layer alone: [B, c, T, F].
    """

    def __init__(self, block: DenseBlock) -> None:
        super().__init__()
        layers = [layer for layer in block.layers if isinstance(layer, ConvNormPReLU)]
        self.layers = nn.ModuleList(InferenceDenseLayer(layer) for layer in layers)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.insert(0, layer(maps))
        return maps[0]
