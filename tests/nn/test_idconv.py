"""Inception depthwise convolution: the equal dense convolution, and the receptive field."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn.idconv import IDConv


@pytest.mark.parametrize("channels", [8, 16, 32, 48])
def test_equals_the_dense_convolution(channels: int) -> None:
    """One 11x11 convolution from all channels to all channels, with zeros where IDConv has no weight."""
    idconv = IDConv(channels).double()
    g = channels // 8
    kernels = torch.zeros(channels, 11, 11, dtype=torch.float64)
    bias = torch.zeros(channels, dtype=torch.float64)
    kernels[: -3 * g, 5, 5] = 1
    square, frequency, time = (slice(channels - n * g, channels - (n - 1) * g) for n in (3, 2, 1))
    kernels[square, 4:7, 4:7] = idconv.square.weight[:, 0].detach()
    kernels[frequency, 5, :] = idconv.frequency.weight[:, 0, 0].detach()
    kernels[time, :, 5] = idconv.time.weight[:, 0, :, 0].detach()
    for part, conv in ((square, idconv.square), (frequency, idconv.frequency), (time, idconv.time)):
        assert conv.bias is not None
        bias[part] = conv.bias.detach()
    dense = kernels.unsqueeze(1) * idconv.pointwise.weight
    x = torch.randn(2, channels, 13, 17, dtype=torch.float64)
    torch.testing.assert_close(idconv(x), F.conv2d(x, dense, bias, padding=5))


def test_an_impulse_spreads_exactly_over_each_kernel() -> None:
    idconv = IDConv(16)
    with torch.no_grad():
        for part in idconv.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.fill_(1)
                if part.bias is not None:
                    part.bias.zero_()
        idconv.pointwise.weight.copy_(torch.eye(16)[..., None, None])
        impulse = torch.zeros(1, 16, 31, 31)
        impulse[..., 15, 15] = 1
        seen = idconv(impulse)[0]

    def box(frames: int, bins: int) -> Tensor:
        support = torch.zeros(31, 31)
        support[15 - frames : 16 + frames, 15 - bins : 16 + bins] = 1
        return support

    kernels = [(0, 0)] * 10 + [(1, 1)] * 2 + [(0, 5)] * 2 + [(5, 0)] * 2
    torch.testing.assert_close(seen, torch.stack([box(*reach) for reach in kernels]))
