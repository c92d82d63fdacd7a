"""Make a network use the compiled kernels while it trains on a CPU.

`imse.nn` defines the network in plain torch. Each class below computes the forward of its base class by a kernel where
one applies, and as the base class does everywhere else. It adds no state, so that a module can change its class in
place, as in `torch.nn.utils.parametrize`: parameters and their names stay the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imse.nn.decoders import Expand, MagnitudeDecoder, PhaseDecoder
from imse.nn.dense import ConvNormPReLU, DenseBlock
from imse.nn.idconv import IDConv
from imse.nn.mala import MALA
from imse.nn.stage import Block
from imse.train.kernels import functions
from imse.train.kernels.library import available


def accelerate(network: nn.Module) -> None:
    """Change the class of each part of a network that has kernels, in place.

    The kernels compute a part where it is in training mode and gradients are recorded, in float32 on the CPU, outside
    of autocast and `torch.compile`, if the bins of its maps are a multiple of 16 and its parameters are contiguous.
    Plain torch computes it otherwise. Hooks of modules inside such a part are not called while kernels compute it.

    Nothing is changed where the kernels have not been compiled, see `imse.train.kernels.prepare`.

    Args:
        network: A network, or a part of one.
    """
    if not available():
        return
    for module in network.modules():
        if type(module) in _FORMS:
            module.__class__ = _FORMS[type(module)]
        elif type(module) is nn.Conv2d and functions.has_kernel(module):
            module.__class__ = _Conv2d


def _applies(x: Tensor, *modules: nn.Module, stride: int = 1) -> bool:
    """Whether the kernels can compute the forward of modules on maps x, with a stride along frequency."""
    return (
        not torch.compiler.is_compiling()
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and x.ndim == 4
        and x.shape[-1] % (stride * functions.VECTOR) == 0
        and _is_float32_on_cpu(x)
        and all(module.training for module in modules)
        and all(_is_float32_on_cpu(p) and p.is_contiguous() for module in modules for p in module.parameters())
    )


def _is_float32_on_cpu(tensor: Tensor) -> bool:
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu"


def _norm_prelu(x: Tensor, norm: nn.Module, prelu: nn.Module) -> Tensor:
    """``prelu(norm(x))``."""
    if _applies(x, norm, prelu):
        return functions.norm_prelu(x, norm, prelu)
    activated: Tensor = prelu(norm(x))
    return activated


class _Conv2d(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        if _applies(input, self, stride=self.stride[1]):
            return functions.convolution(input, self)
        return super().forward(input)


class _ConvNormPReLU(ConvNormPReLU):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        conv, norm, prelu = self
        return _norm_prelu(conv(input), norm, prelu)


class _DenseBlock(DenseBlock):
    def forward(self, x: Tensor) -> Tensor:
        return functions.dense_block(x, self) if _applies(x, self) else super().forward(x)


class _IDConv(IDConv):
    def forward(self, x: Tensor) -> Tensor:
        return functions.idconv(x, self) if _applies(x, self) else super().forward(x)


class _Block(Block):
    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        if not _applies(x, self):
            return super().forward(x, table)
        if isinstance(self.attention, MALA):
            x = functions.mala(x, table, self.norm1, self.attention)
        else:
            x = x + self.attention(self.norm1(x), table)
        return functions.feed_forward(x, self.norm2, self.ffn)


class _Expand(Expand):
    def forward(self, x: Tensor) -> Tensor:
        return functions.expand(x, self) if _applies(x, self) else super().forward(x)


class _MagnitudeDecoder(MagnitudeDecoder):
    def features(self, x: Tensor) -> Tensor:
        return _norm_prelu(self.merge(self.expand(self.dense(x))), self.norm, self.prelu)


class _PhaseDecoder(PhaseDecoder):
    def features(self, x: Tensor) -> Tensor:
        return _norm_prelu(self.expand(self.dense(x)), self.norm, self.prelu)


_FORMS: dict[type[nn.Module], type[nn.Module]] = {
    ConvNormPReLU: _ConvNormPReLU,
    DenseBlock: _DenseBlock,
    IDConv: _IDConv,
    Block: _Block,
    Expand: _Expand,
    MagnitudeDecoder: _MagnitudeDecoder,
    PhaseDecoder: _PhaseDecoder,
}
