"""The network's parts as autograd functions, computed by the compiled kernels.

Each function gives the outputs and gradients of the part in `imse.nn` that it names, up to the rounding of float32.
Maps and parameters have to be float32 on the CPU, parameters contiguous, and the bins a multiple of `VECTOR`;
`imse.train.kernels.accelerate` checks this before each call. Maps have to have the channels that the part expects,
which a network ensures. The kernels expect the parameters in the order given here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from imse.native import BINS_MULTIPLE
from imse.nn.constants import HEAD_SIZE, LEVELS
from imse.nn.decoders import Expand
from imse.nn.dense import DenseBlock
from imse.nn.idconv import IDConv
from imse.nn.mala import MALA
from imse.nn.stage import ChannelNorm, GatedFeedForward
from imse.train.kernels import library

VECTOR = BINS_MULTIPLE // 2**LEVELS
"""Floats in the widest vector register, 16. The bins of every map have to be a multiple of it."""


@dataclass(frozen=True)
class _Call:
    """A call of the kernels ``name`` and ``name_gradient``.

    Attributes:
        name: Name of the forward kernel.
        sizes: Sizes that both kernels are given.
        out: Shape of one sample's output.
        kept: Shapes of what the forward kernel writes of each sample for the gradient, ahead of the output.
        constants: Inputs without a gradient that all samples share, ahead of the parameters.
    """

    name: str
    sizes: tuple[int, ...]
    out: tuple[int, ...]
    kept: tuple[tuple[int, ...], ...] = ()
    constants: tuple[Tensor, ...] = ()


class _Kernel(torch.autograd.Function):
    """A `_Call` as a function of maps and parameters."""

    @staticmethod
    def forward(ctx: Any, call: _Call, x: Tensor, *parameters: Tensor | None) -> Tensor:
        x = x.contiguous()
        kept = [x.new_empty(len(x), *shape) for shape in call.kept]
        out = x.new_empty(len(x), *call.out)
        library.run(call.name, call.sizes, [x], [*call.constants, *parameters], [*kept, out])
        ctx.call = call
        ctx.save_for_backward(x, *kept, *parameters)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        call: _Call = ctx.call
        x, *rest = ctx.saved_tensors
        kept, parameters = rest[: len(call.kept)], rest[len(call.kept) :]
        x_gradient = torch.empty_like(x)
        # A row for each sample: its gradients of all parameters, one after another. Their sum over samples is returned.
        sizes = [parameter.numel() for parameter in parameters if parameter is not None]
        rows = x.new_empty(len(x), sum(sizes))
        library.run(
            f"{call.name}_gradient",
            call.sizes,
            [x, *kept, gradient.contiguous()],
            [*call.constants, *parameters],
            [x_gradient, *torch.split(rows, sizes, dim=1)],
        )
        sums = iter(torch.split(rows.sum(0), sizes))
        gradients = [None if parameter is None else next(sums).view(parameter.shape) for parameter in parameters]
        return None, x_gradient, *gradients


def _apply(call: _Call, x: Tensor, *parameters: Tensor | None) -> Tensor:
    out: Tensor = _Kernel.apply(call, x, *parameters)  # type: ignore[no-untyped-call]
    return out


def dense_block(x: Tensor, block: DenseBlock) -> Tensor:
    """`DenseBlock` on maps [B, c, T, F]."""
    shape, depth = x.shape[1:], len(block.layers)
    # Kept are the output of each layer's convolution, and the two moments of each of its channels.
    call = _Call("dense", (*shape, depth), shape, ((depth, *shape), (depth, shape[0], 2)))
    names = ("0.weight", "0.bias", "1.weight", "1.bias", "2.weight")  # of convolution, norm and PReLU
    return _apply(call, x, *(layer.get_parameter(name) for layer in block.layers for name in names))


def norm_prelu(x: Tensor, norm: nn.Module, prelu: nn.Module) -> Tensor:
    """``prelu(norm(x))`` of an affine `torch.nn.InstanceNorm2d` and a `torch.nn.PReLU`, on maps [B, c, T, F]."""
    call = _Call("norm_prelu", x.shape[1:], x.shape[1:], ((x.shape[1], 2),))
    parameters = norm.get_parameter("weight"), norm.get_parameter("bias"), prelu.get_parameter("weight")
    return _apply(call, x, *parameters)


def feed_forward(x: Tensor, norm: ChannelNorm, ffn: GatedFeedForward) -> Tensor:
    """``x + ffn(norm(x))`` on maps [B, c, T, F]."""
    _, channels, frames, bins = x.shape
    call = _Call("feed_forward", (channels, ffn.project_out.in_channels, frames, bins), x.shape[1:])
    return _apply(call, x, norm.weight, ffn.project_in.weight, ffn.depthwise.weight, ffn.project_out.weight)


def mala(x: Tensor, table: Tensor, norm: ChannelNorm, attention: MALA) -> Tensor:
    """``x + attention(norm(x), table)`` on maps [B, c, T, F]."""
    # Kept are, of each head, the products of keys and values, the mean of keys and the mean of values.
    kept = ((x.shape[1] * (HEAD_SIZE + 1 + 1),),)
    call = _Call("mala", x.shape[1:], x.shape[1:], kept, (table.float().contiguous(),))
    convolutions = (attention.qkvo, attention.lepe, attention.proj)
    return _apply(call, x, norm.weight, *(p for conv in convolutions for p in (conv.weight, conv.bias)))


def idconv(x: Tensor, module: IDConv) -> Tensor:
    """`IDConv` on maps [B, c, T, F]."""
    branches = (module.square, module.frequency, module.time)
    parameters = (p for conv in branches for p in (conv.weight, conv.bias))
    return _apply(_Call("idconv", x.shape[1:], x.shape[1:]), x, module.pointwise.weight, *parameters)


def expand(x: Tensor, module: Expand) -> Tensor:
    """`Expand` on maps [B, c, T, F]."""
    _, channels, frames, bins = x.shape
    call = _Call("expand", (channels, frames, bins), (channels, frames, 2 * bins))
    return _apply(call, x, module.expand.weight, module.depthwise.weight)


def has_kernel(conv: nn.Conv2d) -> bool:
    """Whether `convolution` can compute a module.

    Padding has to be half the kernel, with zeros. The kinds are:

    - dense, with an odd kernel and stride 1;
    - dense, with kernel (1, 3) and stride (1, 2);
    - depthwise, with kernel (3, 3), stride 1 and no bias.
    """
    kernel, stride = conv.kernel_size, conv.stride
    if conv.padding != (kernel[0] // 2, kernel[1] // 2) or conv.padding_mode != "zeros" or conv.dilation != (1, 1):
        return False
    if conv.groups == 1:
        odd = kernel[0] % 2 == kernel[1] % 2 == 1
        return (odd and stride == (1, 1)) or (kernel == (1, 3) and stride == (1, 2))
    depthwise = conv.groups == conv.in_channels == conv.out_channels
    return depthwise and kernel == (3, 3) and stride == (1, 1) and conv.bias is None


def convolution(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """A convolution for which `has_kernel`, on maps [B, c, T, F]."""
    weight, bias = conv.weight, conv.bias
    _, channels, frames, bins = x.shape
    if conv.groups > 1:
        return _apply(_Call("depthwise", (channels, frames, bins), x.shape[1:]), x, weight)
    if conv.stride[1] == 2:
        # Even and odd bins become channels. Output f depends on bins 2f - 1, 2f and 2f + 1: these are then f - 1 of the
        # odd, f of the even and f of the odd channels.
        bins //= 2
        x = _apply(_Call("split_bins", (channels, frames, bins), (2 * channels, frames, bins)), x)
        channels *= 2
        even, odd = F.pad(weight[..., 1:2], (1, 1)), F.pad(weight[..., ::2], (0, 1))
        weight = torch.stack([even, odd], dim=2).flatten(1, 2)
    outputs = len(weight)
    sizes = (channels, outputs, *weight.shape[2:], frames, bins)
    return _apply(_Call("convolution", sizes, (outputs, frames, bins)), x, weight.contiguous(), bias)
