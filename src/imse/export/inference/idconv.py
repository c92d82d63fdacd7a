"""Inference form of the inception depthwise convolution."""

from __future__ import annotations

import torch
from torch import nn

from imse.export.inference.conv import depthwise
from imse.nn.idconv import IDConv


class InferenceIDConv(nn.Sequential):
    """`IDConv` as a chain of depthwise convolutions, each of them the identity outside its own group of channels.

    This takes more products than `IDConv`, but no map is split and concatenated, which would cost more.

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
