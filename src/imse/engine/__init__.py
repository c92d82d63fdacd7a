"""Engines: what runs the network on segments of waveform. To add one, add an entry to `ENGINES`.

Nothing heavy is imported before an engine is opened: the command line shows the names in its help.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from imse.errors import ImseError, UnsupportedWeightsError
from imse.processors import usable_threads
from imse.weights import find

if TYPE_CHECKING:
    from imse.engine.interface import Engine

AUTO = "auto"


@dataclass(frozen=True)
class EngineEntry:
    """What has to be known of an engine before it is opened.

    Attributes:
        description: What it runs, and where, in a few words for the help of the command line.
        suffix: Of its files among the weights in the package.
        is_available: Whether what it needs is installed.
        open: Opens a file, to be run by a number of threads. Raises `UnsupportedWeightsError` where another engine may
            be able to run what is in the file.
        extra: The extra of this package that installs what it needs; None for the light installation.
        automatic: Whether `AUTO` may choose it.
    """

    description: str
    suffix: str
    is_available: Callable[[], bool]
    open: Callable[[Path, int], Engine]
    extra: str | None = None
    automatic: bool = True

    def may_read(self, file: Path) -> bool:
        """Whether a file's suffix fits this engine: only one engine reads ONNX files, and it reads no others."""
        return (file.suffix == ".onnx") == (self.suffix == ".onnx")


def _native_is_available() -> bool:
    from imse import native

    return native.available()


def _open_native(file: Path, threads: int) -> Engine:
    from imse.engine.native import NativeEngine

    return NativeEngine(file, threads)


def _open_onnx(file: Path, threads: int) -> Engine:
    from imse.engine.onnx import OnnxEngine

    return OnnxEngine(file, threads)


def _torch_is_available() -> bool:
    return find_spec("torch") is not None


def _open_torch(file: Path, threads: int) -> Engine:
    from imse.engine.torch import TorchEngine

    return TorchEngine(file, threads)


def _open_torch_bf16(file: Path, threads: int) -> Engine:
    import torch

    from imse.engine.torch import TorchEngine

    return TorchEngine(file, threads, precision=torch.bfloat16)


ENGINES = {
    "native": EngineEntry("compiled, .safetensors files of IMSE", ".safetensors", _native_is_available, _open_native),
    "onnx": EngineEntry("ONNX Runtime, .onnx files", ".onnx", lambda: True, _open_onnx),
    "torch": EngineEntry(
        "all weights but .onnx, on a GPU if there is one", ".safetensors", _torch_is_available, _open_torch, "torch"
    ),
    # Other samples than the rest, and slower on a processor.
    "torch-bf16": EngineEntry(
        "torch in bfloat16, for a GPU", ".safetensors", _torch_is_available, _open_torch_bf16, "torch", automatic=False
    ),
}
"""Engines by name, the fastest first."""


def describe_engines() -> str:
    """What each engine is, and the extra that it needs, in one line for the help of the command line."""
    return "; ".join(
        f"{name}: {entry.description}{f' (imse[{entry.extra}])' if entry.extra else ''}"
        for name, entry in ENGINES.items()
    )


def open_engine(name: str, weights: str | Path, threads: int) -> Engine:
    """Open weights with an engine.

    Args:
        name: One of `ENGINES`, or `AUTO` for the first of them that is there and can run the weights.
        weights: Name of weights in the package, or a file that the engine can read.
        threads: Processor threads that one call may use; no more than there are processors are used.

    Raises:
        ImseError: Unknown engine or name, or weights that the engine cannot read.
        ModuleNotFoundError: The engine needs a package that is not installed.
    """
    threads = usable_threads(threads)  # libraries count them in 32 bits
    if name == AUTO:
        return _open_first(weights, threads)
    if name not in ENGINES:
        raise ImseError(f"unknown engine '{name}': choose from {', '.join((AUTO, *ENGINES))}")
    return ENGINES[name].open(find(weights, ENGINES[name].suffix), threads)


def _open_first(weights: str | Path, threads: int) -> Engine:
    refusal = ImseError(
        f"{weights}: needs another engine: pip install 'imse[torch]', or 'imse export' it to ONNX first"
    )
    for entry in ENGINES.values():
        if not entry.automatic or not entry.is_available():
            continue
        file = find(weights, entry.suffix)
        if not entry.may_read(file):
            continue
        try:
            return entry.open(file, threads)
        except UnsupportedWeightsError as error:
            refusal = error
    raise refusal
