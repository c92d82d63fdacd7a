"""The network in compiled code: no torch, no ONNX Runtime, the fastest of the engines on a processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imse.engine.interface import Enhanced
from imse.errors import ImseError, UnsupportedWeightsError, WrongValueError
from imse.native import NativeNetwork, NativeStream, stream_settings
from imse.signal.spectrum import Floats
from imse.weights import require_file


class NativeEngine:
    """A safetensors file of a network with MALA attention and IDConv embedding.

    Args:
        weights: The file.
        threads: Processor threads that one call uses, at most as many as this process has processors.

    Raises:
        OSError: The file cannot be read.
        UnsupportedWeightsError: Another kind of file or of network.
        ImseError: The file is damaged, or the engine was not compiled.
    """

    # Each segment already keeps all threads busy; several would only take more memory.
    batch = 1

    def __init__(self, weights: Path, threads: int = 1) -> None:
        self.name = str(weights)
        require_file(weights)
        try:
            self._network = NativeNetwork(weights.read_bytes(), threads)
        except UnsupportedWeightsError as error:
            raise UnsupportedWeightsError(f"{weights}: {error}; use --engine torch, or 'imse convert' first") from error
        except ImseError as error:
            raise ImseError(f"{weights}: {error}") from error

    def __call__(self, waveform: Floats) -> Enhanced:
        """See `imse.engine.interface.Engine`."""
        outputs = [self._network.run_waveform(segment) for segment in waveform]
        enhanced, noisy, magnitude = (np.stack(parts) for parts in zip(*outputs, strict=True))
        return Enhanced(enhanced, noisy.transpose(0, 2, 1), magnitude.transpose(0, 2, 1))

    def run(self, magnitude: Floats, phase: Floats) -> tuple[Floats, Floats]:
        """The network alone: compressed magnitude and phase, [B, bins, T] each, to the same."""
        outputs = [self._network.run_spectrum(m.T, p.T) for m, p in zip(magnitude, phase, strict=True)]
        enhanced, real, imag = (np.stack(parts).transpose(0, 2, 1) for parts in zip(*outputs, strict=True))
        return enhanced, np.arctan2(imag, real)

    def stream(self, sample_rate: int, latency_ms: float, attenuation_limit_db: float) -> NativeStream:
        """A stream of one channel on this network; see `NativeStream`."""
        try:
            return NativeStream(self._network, stream_settings(latency_ms, sample_rate, attenuation_limit_db))
        except ImseError as error:
            raise WrongValueError(str(error)) from error
