"""Inference form of the U-Net's downsampling."""

from __future__ import annotations

import torch
from torch import nn

from imse.export.inference.conv import convolution
from imse.nn.unet import Down


class InferenceDown(nn.Sequential):
    """`Down` with its 1x1 convolution and pixel unshuffle as one 2x2 convolution with stride 2.

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
