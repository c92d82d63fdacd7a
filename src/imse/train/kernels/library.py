"""The library of kernels: compiled when somebody first trains, opened by ctypes, called for each sample of a batch."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from imse import native
from imse.errors import ImseError
from imse.native.build import CompilationError, build_training
from imse.train.kernels.cache import is_whole, library_path, record


def prepare() -> str | None:
    """Compile the kernels for this machine, which takes half a minute, unless that was done before.

    Returns:
        None if there are kernels now, otherwise the reason why there are none, in one line.
    """
    if available():
        return None
    try:
        path = library_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            # Another process may have compiled it meanwhile. A file that is damaged or cannot be loaded is replaced.
            if _open(path) is None:
                build_training(path, native.instruction_set())
                record(path)
        ctypes.CDLL(str(path))
    except (CompilationError, OSError, ImseError) as error:
        return _one_line(str(error))
    _library.cache_clear()
    return None


def available() -> bool:
    """Whether there are kernels to call: compiled by `prepare`, now or earlier, and loaded."""
    return _library() is not None


def run(
    name: str, sizes: Sequence[int], maps: Sequence[Tensor], shared: Sequence[Tensor | None], out: Sequence[Tensor]
) -> None:
    """Call a kernel for every sample of a batch, on as many threads as torch uses.

    Args:
        name: Name of the kernel.
        sizes: Its sizes.
        maps: Inputs that each sample has its own of, [B, ...] each.
        shared: Inputs that all samples share.
        out: Outputs, [B, ...] each, in which every sample is contiguous.

    Raises:
        MemoryError: The kernel cannot allocate its intermediate results.
    """
    kernel = getattr(_library(), f"imse_{native.instruction_set()}_{name}")
    dimensions = (ctypes.c_int * len(sizes))(*sizes)
    same = [None if tensor is None else tensor.data_ptr() for tensor in shared]

    def run_sample(sample: int) -> None:
        read = [_address(tensor, sample) for tensor in maps] + same
        written = [_address(tensor, sample) for tensor in out] + [None]
        if kernel(dimensions, (ctypes.c_void_p * len(read))(*read), (ctypes.c_void_p * len(written))(*written)):
            raise MemoryError(f"not enough memory for the kernel {name}")

    samples = range(len(maps[0]))
    threads = torch.get_num_threads()
    if threads == 1 or len(samples) == 1:
        for sample in samples:
            run_sample(sample)
    else:
        list(_pool(threads).map(run_sample, samples))  # ctypes releases the interpreter lock during a call


@cache
def _library() -> ctypes.CDLL | None:
    try:
        return _open(library_path())
    except ImseError:
        return None


def _open(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path)) if is_whole(path) else None
    except OSError:
        return None


def _one_line(message: str) -> str:
    """The first line with an error, of which a compiler may write many."""
    lines = message.splitlines() or ["the compiler failed without a message"]
    return next((line for line in lines if "error" in line.lower()), lines[0])


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="imse-kernels")


def _address(tensor: Tensor, sample: int) -> int:
    return tensor.data_ptr() + sample * tensor.stride(0) * tensor.element_size()
