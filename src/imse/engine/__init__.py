"""Engines: what runs the network on segments of waveform."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol

from imse import native as compiled
from imse.errors import ImseError
from imse.signal.spectrum import Floats
from imse.weights import find


class Enhanced(NamedTuple):
    """What an engine makes of a batch of segments.

    Attributes:
        waveform: The enhanced segments [B, samples].
        noisy: Compressed magnitude of the input [B, bins, T].
        magnitude: Compressed magnitude as enhanced [B, bins, T].
    """

    waveform: Floats
    noisy: Floats
    magnitude: Floats


class Engine(Protocol):
    """A network ready to run, with the short-time Fourier transform around it."""

    @property
    def batch(self) -> int:
        """Segments that it likes to be given in one call."""

    def __call__(self, waveform: Floats) -> Enhanced:
        """Enhance a batch of segments [B, samples] at 16 kHz, scaled to the level the network expects."""


ENGINES = ("native", "onnx", "torch", "torch-bf16")
AUTO = "auto"


def open_engine(name: str, weights: str | Path, threads: int) -> Engine:
    """Open weights with an engine.

    Args:
        name: One of `ENGINES`, or `AUTO` for the fastest one that there is for the weights.
        weights: Name of weights in the package, or a file that the engine can read.
        threads: Processor threads that one call may use.

    Raises:
        ImseError: Unknown engine or name, or weights that the engine cannot read.
        ModuleNotFoundError: The engine needs a package that is not installed.
    """
    if name == AUTO:
        name = _fastest(weights)
    if name not in ENGINES:
        raise ImseError(f"unknown engine '{name}': choose from {', '.join((AUTO, *ENGINES))}")
    file = find(weights, name)
    if name == "native":
        from imse.engine.native import NativeEngine

        return NativeEngine(file, threads)
    if name == "onnx":
        from imse.engine.onnx import OnnxEngine

        return OnnxEngine(file, threads)
    import torch

    from imse.engine.torch import TorchEngine

    return TorchEngine(file, threads, precision=torch.bfloat16 if name == "torch-bf16" else torch.float32)


def _fastest(weights: str | Path) -> str:
    """The fastest engine for weights; one that will say what is wrong with them if no engine can read them."""
    name = "native" if compiled.available() else "onnx"
    file = find(weights, name)
    if file.suffix == ".onnx":
        return "onnx"
    if compiled.available():
        from imse.engine.native import can_run

        if can_run(file):
            return "native"
    # Without torch, what is closest to hand says what it needs.
    return "torch" if find_spec("torch") else name
