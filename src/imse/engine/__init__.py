"""Engines: what runs the network on segments of waveform."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from imse.errors import ImseError
from imse.spectrum import Floats


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


ENGINES = ("onnx", "torch")


def open_engine(name: str, weights: Path, threads: int) -> Engine:
    """Open weights with an engine.

    Args:
        name: One of `ENGINES`.
        weights: A file that the engine can read.
        threads: Processor threads that one call may use.

    Raises:
        ImseError: Unknown engine, or weights that it cannot read.
        ModuleNotFoundError: The engine needs a package that is not installed.
    """
    if name == "onnx":
        from imse.engine.onnx import OnnxEngine

        return OnnxEngine(weights, threads)
    if name == "torch":
        from imse.engine.torch import TorchEngine

        return TorchEngine(weights, threads)
    raise ImseError(f"unknown engine '{name}': choose from {', '.join(ENGINES)}")
