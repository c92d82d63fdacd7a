"""Inference forms of the dense encoder and of the decoders."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn.decoders import Expand, MagnitudeDecoder, PhaseDecoder
from imse.nn.dense import ConvNormPReLU, DenseBlock
from imse.nn.inference.conv import convolution


class InferencePReLU(nn.Module):
    """PReLU with a slope per channel, from operations that have vector code in every runtime.

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
    """A layer of `DenseBlock` as the sum of a convolution of each map, so that the maps are never joined.

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
        # The instance norm takes the bias off again.
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


def _doubling(expand: Expand) -> Tensor:
    """`Expand` as one convolution.

    Returns:
        Kernels [c, 2, c, 1, 3]: those of output channel k at the even bins, then at the odd bins.
    """
    channels = expand.expand.in_channels
    left, right = expand.expand.weight.view(channels, 2, 2, channels)[:, 0].unbind(1)  # [c, c] each
    before, here, after = expand.depthwise.weight.view(channels, 3, 1).unbind(1)
    # The doubled map is left, right, left, right, ...: what the depthwise kernel meets around an even and an odd bin.
    none = torch.zeros_like(left)
    even = torch.stack([before * right, here * left + after * right, none], dim=-1)
    odd = torch.stack([none, before * left + here * right, after * left], dim=-1)
    return torch.stack([even, odd], dim=1).unsqueeze(3)


def _interleave(x: Tensor) -> Tensor:
    """Even and odd bins [B, 2, T, F] to [B, 2F, T]."""
    return x.permute(0, 3, 1, 2).flatten(1, 2)


class InferenceMagnitudeDecoder(nn.Module):
    """`MagnitudeDecoder`, expansion and merging in one convolution; even and odd bins stay apart to the end.

    Shape:
        - x: [B, c, T, bins / 2]; output: [B, bins, T].
    """

    def __init__(self, decoder: MagnitudeDecoder) -> None:
        super().__init__()
        self.dense = InferenceDenseBlock(decoder.dense)
        kernels = torch.einsum("k,kjitf->jitf", decoder.merge.weight.flatten(), _doubling(decoder.expand))
        self.expand = convolution(kernels, padding=(0, 1))  # the instance norm takes the bias of `merge` off
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
    """`PhaseDecoder`, expansion in one convolution; even and odd bins stay apart to the end.

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
        """A 1x1 convolution to one map, [1, c], as one to two maps of channels that come in pairs, [2, 2c]."""
        assert conv.bias is not None
        pairs = torch.einsum("k,ij->ikj", conv.weight.flatten(), torch.eye(2).to(conv.weight))
        return convolution(pairs.flatten(1), conv.bias.expand(2))

    def forward(self, x: Tensor) -> Tensor:
        bins = self.expand(self.dense(x))  # [B, 2c, T, F]
        normed = self.norm(bins.reshape(x.shape[0], self.channels, -1, x.shape[3]))
        activated = self.prelu(normed).reshape(bins.shape)
        return _interleave(torch.atan2(self.imag(activated), self.real(activated)))
