"""Convolutions made of given weights."""

from __future__ import annotations

from torch import Tensor, nn


def convolution(
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: tuple[int, ...] = (0, 0),
    dilation: tuple[int, ...] = (1, 1),
    groups: int = 1,
) -> nn.Conv2d:
    """A convolution over [B, c, T, F] with the given parameters.

    Args:
        weight: Kernels [out, in / groups, time, frequency], or [out, in] for a 1x1 convolution.
        bias: [out].
        stride: Along time and along frequency.
        padding: Zeros at both ends of time and of frequency.
        dilation: Along time and along frequency.
        groups: See `torch.nn.Conv2d`.
    """
    kernels = weight.reshape(*weight.shape[:2], *(weight.shape[2:] or (1, 1)))
    conv = nn.Conv2d(
        kernels.shape[1] * groups,
        kernels.shape[0],
        (kernels.shape[2], kernels.shape[3]),
        stride=stride,
        padding=(padding[0], padding[1]),
        dilation=(dilation[0], dilation[1]),
        groups=groups,
        bias=bias is not None,
    )
    conv.weight = nn.Parameter(kernels.clone())
    if bias is not None:
        conv.bias = nn.Parameter(bias.clone())
    return conv


def depthwise(weight: Tensor, bias: Tensor | None = None) -> nn.Conv2d:
    """A depthwise convolution that keeps the size: kernels [c, 1, time, frequency], bias [c]."""
    padding = tuple(size // 2 for size in weight.shape[2:])
    return convolution(weight, bias, padding=padding, groups=weight.shape[0])
