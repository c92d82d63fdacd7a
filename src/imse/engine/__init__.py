"""Engines: what runs the network's spectrum-to-spectrum part."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from imse.errors import ImseError
from imse.spectrum import Floats


class Engine(Protocol):
    """A network ready to run."""

    @property
    def batch(self) -> int:
        """Segments that it likes to be given in one call."""

    def __call__(self, magnitude: Floats, phase: Floats) -> tuple[Floats, Floats]:
        """Enhance compressed magnitudes and phases, [B, bins, T] each, to the same shape."""


ENGINES = ("onnx", "torch")


def open_engine(name: str, weights: Path, threads: int) -> Engine:
    """Open weights with an engine.

    Args:
        name: One of `ENGINES`.
        weights: A file that the engine can read.
        threads: Processor threads that one call may use.

    Raises:
        ImseError: Unknown engine, or weights that it cannot read.
    """
    if name == "onnx":
        from imse.engine.onnx import OnnxEngine

        return OnnxEngine(weights, threads)
    if name == "torch":
        from imse.engine.torch import TorchEngine

        return TorchEngine(weights, threads)
    raise ImseError(f"unknown engine '{name}': choose from {', '.join(ENGINES)}")
