"""Compiled training of the network's parts on a processor: `imse.native`'s kernels as autograd functions.

Each function computes what the plain torch of its module computes, forward and gradients, to the rounding of float32.
Modules ask `usable` first and run their plain torch where the answer is no: without the library, in evaluation, on an
accelerator, in another precision, under `torch.compile`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_FLOAT = 4  # bytes
_LANES = 16  # floats in the widest vector: rows along frequency have to be a multiple


def _path() -> Path:
    return Path(os.environ.get("IMSE_TRAINING_KERNELS", Path(__file__).parents[1] / "native" / "training.so"))


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """The kernels; None where they were not built."""
    path = _path()
    return ctypes.CDLL(str(path)) if path.is_file() else None


def usable(module: nn.Module, x: Tensor) -> bool:
    """Whether the compiled functions can take a module's forward on maps [B, c, T, F]."""
    return (
        module.training
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.shape[-1] % _LANES == 0
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and _library() is not None
    )


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="imse-kernels")


def _run(
    name: str, sizes: Sequence[int], maps: Sequence[Tensor], parameters: Sequence[Tensor], out: Sequence[Tensor]
) -> None:
    """Call a kernel for every sample of a batch.

    Args:
        name: Of the kernel.
        sizes: Its sizes.
        maps: What it reads of each sample, each [B, ...].
        parameters: What it reads for all samples alike.
        out: What it writes for each sample, each [B, ...] and dense but for the first dimension.
    """
    kernel = getattr(_library(), f"imse_{name}")
    dimensions = (ctypes.c_int * len(sizes))(*sizes)
    shared = [parameter.data_ptr() for parameter in parameters]

    def run(sample: int) -> None:
        read = [_sample(tensor, sample) for tensor in maps] + shared
        written = [_sample(tensor, sample) for tensor in out]
        kernel(dimensions, (ctypes.c_void_p * len(read))(*read), (ctypes.c_void_p * len(written))(*written))

    samples = range(len(maps[0]))
    threads = torch.get_num_threads()
    if threads == 1 or len(samples) == 1:
        for sample in samples:
            run(sample)
    else:
        list(_pool(threads).map(run, samples))  # a kernel holds no lock of Python's


def _sample(tensor: Tensor, sample: int) -> int:
    return tensor.data_ptr() + sample * tensor.stride(0) * _FLOAT


def _gradients(batch: int, parameters: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Room for the gradients of each sample, as one tensor [B, all] and as its parts [B, numel] by parameter."""
    sizes = [parameter.numel() for parameter in parameters]
    room = torch.empty(batch, sum(sizes))
    return room, list(torch.split(room, sizes, dim=1))


def _summed(room: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of the parameters from those of each sample (`_gradients`)."""
    parts = torch.split(room.sum(0), [parameter.numel() for parameter in parameters])
    return [part.view(parameter.shape) for part, parameter in zip(parts, parameters, strict=True)]


class _DenseBlock(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
        batch, channels, frames, bins = x.shape
        depth = len(parameters) // 5
        x = x.contiguous()
        sums = x.new_empty(batch, depth, channels, frames, bins)
        stats = x.new_empty(batch, depth, channels, 2)
        out = torch.empty_like(x)
        ctx.sizes = (channels, frames, bins, depth)
        _run("dense_forward", ctx.sizes, [x], parameters, [sums, stats, out])
        ctx.save_for_backward(x, sums, stats, *parameters)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        x, sums, stats, *parameters = ctx.saved_tensors
        of_x = torch.empty_like(x)
        room, of_parameters = _gradients(len(x), parameters)
        maps = [x, sums, stats, gradient.contiguous()]
        _run("dense_backward", ctx.sizes, maps, parameters, [of_x, *of_parameters])
        return of_x, *_summed(room, parameters)


def dense_block(x: Tensor, layers: nn.ModuleList) -> Tensor:
    """`imse.nn.dense.DenseBlock` of the layers, on maps [B, c, T, F]."""
    out: Tensor = _DenseBlock.apply(x, *layers.parameters())  # type: ignore[no-untyped-call]
    return out


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
        x = x.contiguous()
        _, channels, frames, bins = x.shape
        ctx.sizes = (channels, parameters[-1].shape[1], frames, bins)
        ctx.save_for_backward(x, *parameters)
        out = torch.empty_like(x)
        _run("feed_forward", ctx.sizes, [x], parameters, [out])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        x, *parameters = ctx.saved_tensors
        of_x = torch.empty_like(x)
        room, of_parameters = _gradients(len(x), parameters)
        _run("feed_forward_gradient", ctx.sizes, [x, gradient.contiguous()], parameters, [of_x, *of_parameters])
        return of_x, *_summed(room, parameters)


def feed_forward(x: Tensor, norm: nn.Module, ffn: nn.Module) -> Tensor:
    """``x + ffn(norm(x))`` of an `imse.nn.stage.GatedFeedForward` and its `ChannelNorm`, on maps [B, c, T, F]."""
    out: Tensor = _FeedForward.apply(x, *norm.parameters(), *ffn.parameters())  # type: ignore[no-untyped-call]
    return out


class _MALA(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, *parameters: Tensor) -> Tensor:
        x, table = x.contiguous(), table.contiguous()
        batch, channels, frames, bins = x.shape
        ctx.sizes = (channels, frames, bins)
        sums = x.new_empty(batch, channels * (8 + 2))
        out = torch.empty_like(x)
        _run("mala", ctx.sizes, [x], [table, *parameters], [sums, out])
        ctx.save_for_backward(x, sums, table, *parameters)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, sums, table, *parameters = ctx.saved_tensors
        of_x = torch.empty_like(x)
        room, of_parameters = _gradients(len(x), parameters)
        maps = [x, sums, gradient.contiguous()]
        _run("mala_gradient", ctx.sizes, maps, [table, *parameters], [of_x, *of_parameters])
        return of_x, None, *_summed(room, parameters)


def mala(x: Tensor, table: Tensor, norm: nn.Module, attention: nn.Module) -> Tensor:
    """``x + attention(norm(x), table)`` of an `imse.nn.mala.MALA` and its `ChannelNorm`, on maps [B, c, T, F]."""
    out: Tensor = _MALA.apply(x, table, *norm.parameters(), *attention.parameters())  # type: ignore[no-untyped-call]
    return out
