"""Compiled training of the network's parts on a processor: `imse.native`'s kernels as autograd functions.

Each function computes what the plain torch of its module computes, forward and gradients, to the rounding of float32.
Modules ask `usable` first and run their plain torch where the answer is no: without the library, in evaluation, on an
accelerator, in another precision, under `torch.compile`. The library is compiled for the processor at hand when one
first trains (`prepare`), which takes half a minute once, and kept in the user's cache.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from imse import native
from imse.errors import ImseError
from imse.native.build import CompilationError, build_training
from imse.native.build import sources as native_sources

_LANES = 16  # floats in the widest vector: rows along frequency have to be a multiple


def prepare() -> str | None:
    """Compile the kernels for this processor, unless that has been done.

    Returns:
        Why there are none, and training runs in plain torch; None if there are.
    """
    if available():
        return None
    try:
        library = _path()
        library.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(library.with_suffix(".lock")):
            if not library.is_file():  # another process may have been faster
                build_training(library, native.kernels())
    except (CompilationError, OSError, ImseError) as error:
        return str(error)
    _library.cache_clear()
    return None


def available() -> bool:
    """Whether the kernels have been compiled, by `prepare` now or earlier."""
    return _library() is not None


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    try:
        path = _path()
    except ImseError:
        return None
    return ctypes.CDLL(str(path)) if path.is_file() else None


def _path() -> Path:
    """Where the library is kept: another one for each version of its sources and each instruction set."""
    sources = hashlib.sha256()
    for file in native_sources():
        sources.update(file.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "imse" / f"training-{native.kernels()}-{sources.hexdigest()[:12]}.so"


def usable(module: nn.Module, x: Tensor, stride: int = 1) -> bool:
    """Whether the compiled functions can take a module's forward on maps [B, c, T, F], its stride being along F."""
    return (
        not torch.compiler.is_compiling()
        and module.training
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.shape[-1] % (stride * _LANES) == 0
        and not torch.is_autocast_enabled("cpu")
        and available()
    )


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="imse-kernels")


def _run(
    name: str, sizes: Sequence[int], maps: Sequence[Tensor], shared: Sequence[Tensor | None], out: Sequence[Tensor]
) -> None:
    """Call a kernel for every sample of a batch.

    Args:
        name: Of the kernel.
        sizes: Its sizes.
        maps: What it reads of each sample, each [B, ...].
        shared: What it reads for all samples alike.
        out: What it writes for each sample, each [B, ...] and dense but for the first dimension.
    """
    kernel = getattr(_library(), f"imse_{native.kernels()}_{name}")
    dimensions = (ctypes.c_int * len(sizes))(*sizes)
    alike = [None if tensor is None else tensor.data_ptr() for tensor in shared]

    def run(sample: int) -> None:
        read = [_sample(tensor, sample) for tensor in maps] + alike
        written = [_sample(tensor, sample) for tensor in out] + [None]
        if kernel(dimensions, (ctypes.c_void_p * len(read))(*read), (ctypes.c_void_p * len(written))(*written)):
            raise MemoryError(f"not enough memory for the compiled kernel {name}")

    samples = range(len(maps[0]))
    threads = torch.get_num_threads()
    if threads == 1 or len(samples) == 1:
        for sample in samples:
            run(sample)
    else:
        list(_pool(threads).map(run, samples))  # a kernel holds no lock of Python's


def _sample(tensor: Tensor, sample: int) -> int:
    return tensor.data_ptr() + sample * tensor.stride(0) * tensor.element_size()


@dataclass(frozen=True)
class _Call:
    """A call of the kernels ``name`` and ``name_gradient``.

    Attributes:
        name: Of the kernels.
        sizes: What both are told.
        out: Shape of a sample's result.
        kept: Shapes of what the first writes of a sample for the second, before the result.
        constants: What both read of all samples alike, before the parameters.
    """

    name: str
    sizes: tuple[int, ...]
    out: tuple[int, ...]
    kept: tuple[tuple[int, ...], ...] = ()
    constants: tuple[Tensor, ...] = ()


class _Part(torch.autograd.Function):
    """A part of the network as a function of its maps and its parameters."""

    @staticmethod
    def forward(ctx: Any, call: _Call, x: Tensor, *parameters: Tensor | None) -> Tensor:
        x = x.contiguous()
        kept = [x.new_empty(len(x), *shape) for shape in call.kept]
        out = x.new_empty(len(x), *call.out)
        _run(call.name, call.sizes, [x], [*call.constants, *parameters], [*kept, out])
        ctx.call = call
        ctx.save_for_backward(x, *kept, *parameters)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        call: _Call = ctx.call
        x, *rest = ctx.saved_tensors
        kept, parameters = rest[: len(call.kept)], rest[len(call.kept) :]
        present = [parameter for parameter in parameters if parameter is not None]
        of_x = torch.empty_like(x)
        # Each sample's gradients of the parameters, one after another; then their sum over the samples.
        sizes = [parameter.numel() for parameter in present]
        room = x.new_empty(len(x), sum(sizes))
        of_sample = torch.split(room, sizes, dim=1)
        maps = [x, *kept, gradient.contiguous()]
        _run(f"{call.name}_gradient", call.sizes, maps, [*call.constants, *parameters], [of_x, *of_sample])
        summed = iter(torch.split(room.sum(0), sizes))
        of_parameters = [None if p is None else next(summed).view(p.shape) for p in parameters]
        return None, of_x, *of_parameters


def _apply(call: _Call, x: Tensor, *parameters: Tensor | None) -> Tensor:
    out: Tensor = _Part.apply(call, x, *parameters)  # type: ignore[no-untyped-call]
    return out


def dense_block(x: Tensor, layers: nn.ModuleList) -> Tensor:
    """`imse.nn.dense.DenseBlock` of the layers, on maps [B, c, T, F]."""
    channels, depth = x.shape[1], len(layers)
    kept = ((depth, *x.shape[1:]), (depth, channels, 2))
    return _apply(_Call("dense", (*x.shape[1:], depth), x.shape[1:], kept), x, *layers.parameters())


def norm_prelu(x: Tensor, norm: nn.Module, prelu: nn.Module) -> Tensor:
    """``prelu(norm(x))`` of an affine `torch.nn.InstanceNorm2d`, on maps [B, c, T, F]."""
    call = _Call("norm_prelu", x.shape[1:], x.shape[1:], ((x.shape[1], 2),))
    return _apply(call, x, *norm.parameters(), *prelu.parameters())


def feed_forward(x: Tensor, norm: nn.Module, ffn: nn.Module) -> Tensor:
    """``x + ffn(norm(x))`` of an `imse.nn.stage.GatedFeedForward` and its `ChannelNorm`, on maps [B, c, T, F]."""
    parameters = [*norm.parameters(), *ffn.parameters()]
    _, channels, frames, bins = x.shape
    hidden = parameters[-1].shape[1]
    return _apply(_Call("feed_forward", (channels, hidden, frames, bins), x.shape[1:]), x, *parameters)


def mala(x: Tensor, table: Tensor, norm: nn.Module, attention: nn.Module) -> Tensor:
    """``x + attention(norm(x), table)`` of an `imse.nn.mala.MALA` and its `ChannelNorm`, on maps [B, c, T, F]."""
    channels = x.shape[1]
    # Kept are the products of each head's 8 keys and 8 values, the means of keys and of values.
    call = _Call("mala", x.shape[1:], x.shape[1:], ((channels * (8 + 1 + 1),),), (table.contiguous(),))
    return _apply(call, x, *norm.parameters(), *attention.parameters())


def idconv(x: Tensor, module: nn.Module) -> Tensor:
    """`imse.nn.idconv.IDConv`, on maps [B, c, T, F]."""
    return _apply(_Call("idconv", x.shape[1:], x.shape[1:]), x, *module.parameters())


def expand(x: Tensor, module: nn.Module) -> Tensor:
    """`imse.nn.decoders.Expand`, on maps [B, c, T, F]."""
    _, channels, frames, bins = x.shape
    call = _Call("expand", (channels, frames, bins), (channels, frames, 2 * bins))
    return _apply(call, x, *module.parameters())


def convolution(x: Tensor, module: nn.Conv2d) -> Tensor:
    """`imse.nn.convolution.Convolution`, on maps [B, c, T, F]."""
    weight, bias = module.weight, module.bias
    _, channels, frames, bins = x.shape
    if module.groups > 1:
        return _apply(_Call("depthwise", (channels, frames, bins), x.shape[1:]), x, weight)
    if module.stride[1] == 2:
        # Even and odd bins become channels of their own: bins 2f - 1, 2f, 2f + 1 are f - 1 of the odd, f of the even
        # and f of the odd ones.
        bins //= 2
        x = _apply(_Call("split_bins", (channels, frames, bins), (2 * channels, frames, bins)), x)
        channels *= 2
        even, odd = F.pad(weight[..., 1:2], (1, 1)), F.pad(weight[..., ::2], (0, 1))
        weight = torch.stack([even, odd], dim=2).flatten(1, 2)
    outputs = len(weight)
    sizes = (channels, outputs, *weight.shape[2:], frames, bins)
    return _apply(_Call("convolution", sizes, (outputs, frames, bins)), x, weight.contiguous(), bias)
