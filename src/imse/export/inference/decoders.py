"""Inference forms of the decoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imse.export.inference.conv import convolution
from imse.export.inference.dense import InferenceDenseBlock, InferencePReLU
from imse.nn.decoders import Expand, MagnitudeDecoder, PhaseDecoder


def _doubling(expand: Expand) -> Tensor:
    """`Expand` as one convolution.

    Returns:
        Kernels [c, 2, c, 1, 3]: those of output channel k at the even bins, then at the odd bins.
    """
    channels = expand.expand.in_channels
    left, right = expand.expand.weight.view(channels, 2, 2, channels)[:, 0].unbind(1)  # [c, c] each
    before, here, after = expand.depthwise.weight.view(channels, 3, 1).unbind(1)
    # The doubled map is left, right, left, right, ...: these are the inputs of the depthwise kernel at even, odd bins.
    none = torch.zeros_like(left)
    even = torch.stack([before * right, here * left + after * right, none], dim=-1)
    odd = torch.stack([none, before * left + here * right, after * left], dim=-1)
    return torch.stack([even, odd], dim=1).unsqueeze(3)


def _interleave(x: Tensor) -> Tensor:
    """Even and odd bins [B, 2, T, F] to [B, 2F, T]."""
    return x.permute(0, 3, 1, 2).flatten(1, 2)


class InferenceMagnitudeDecoder(nn.Module):
    """`MagnitudeDecoder` with expansion and merging in one convolution; even and odd bins are interleaved last.

    Shape:
        - x: [B, c, T, bins / 2]; output: [B, bins, T].
    """

    def __init__(self, decoder: MagnitudeDecoder) -> None:
        super().__init__()
        self.dense = InferenceDenseBlock(decoder.dense)
        kernels = torch.einsum("k,kjitf->jitf", decoder.merge.weight.flatten(), _doubling(decoder.expand))
        self.expand = convolution(kernels, padding=(0, 1))  # the instance norm cancels the bias of `merge`
        self.norm, self.prelu = decoder.norm, InferencePReLU(decoder.prelu)
        assert decoder.out.bias is not None
        self.weight = nn.Parameter(decoder.out.weight.flatten().clone())
        self.bias = nn.Parameter(decoder.out.bias.clone())
        self.sigmoid = decoder.sigmoid

    def forward(self, x: Tensor) -> Tensor:
        bins = self.expand(self.dense(x))
        normed = self.prelu(self.norm(bins.flatten(1, 2).unsqueeze(1))).reshape(bins.shape)
        mask: Tensor = self.sigmoid(_interleave(normed * self.weight + self.bias))
        return mask


class InferencePhaseDecoder(nn.Module):
    """`PhaseDecoder` with the expansion in one convolution; even and odd bins are interleaved last.

    Shape:
        - x: [B, c, T, bins / 2]; output in radians: [B, bins, T].
    """

    def __init__(self, decoder: PhaseDecoder) -> None:
        super().__init__()
        self.dense = InferenceDenseBlock(decoder.dense)
        self.channels = decoder.expand.expand.in_channels
        self.expand = convolution(_doubling(decoder.expand).flatten(0, 1), padding=(0, 1))
        self.norm, self.prelu = decoder.norm, InferencePReLU(decoder.prelu)
        self.real, self.imag = (self._of_even_and_odd(part) for part in (decoder.real, decoder.imag))

    @staticmethod
    def _of_even_and_odd(conv: nn.Conv2d) -> nn.Conv2d:
        """A 1x1 convolution from c channels to one, applied to even and odd bins: from 2c channels to two."""
        assert conv.bias is not None
        pairs = torch.einsum("k,ij->ikj", conv.weight.flatten(), torch.eye(2).to(conv.weight))
        return convolution(pairs.flatten(1), conv.bias.expand(2))

    def forward(self, x: Tensor) -> Tensor:
        bins = self.expand(self.dense(x))  # [B, 2c, T, F]
        normed = self.norm(bins.reshape(x.shape[0], self.channels, -1, x.shape[3]))
        activated = self.prelu(normed).reshape(bins.shape)
        return _interleave(torch.atan2(self.imag(activated), self.real(activated)))
