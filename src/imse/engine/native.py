"""The network in compiled code: no torch, no ONNX Runtime, the fastest of the engines on a processor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from imse.arguments import whole_number
from imse.engine.interface import Enhanced
from imse.errors import ImseError, UnsupportedWeightsError
from imse.native import NativeNetwork
from imse.signal.spectrum import BINS, COMPRESSION, Floats, compress, istft, stft
from imse.weights import CONFIG_KEY

# What the compiled code has, of what a `imse.nn.NetworkConfig` can ask for.
_PARTS = {"attention": "mala", "embedding": "idconv"}
_SIZES = ("channels", "blocks", "bins")


def _config(metadata: Mapping[str, str] | None, weights: Path) -> dict[str, Any]:
    try:
        config = json.loads((metadata or {})[CONFIG_KEY])
        sizes = {name: config.pop(name) for name in _SIZES}
        parts = {name: str(config.pop(name)) for name in _PARTS}
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ImseError(f"{weights}: a safetensors file, but not of imse, or a damaged one") from error
    try:
        if config:
            raise ImseError(f"unexpected {', '.join(config)}")
        return {name: whole_number(name, value) for name, value in sizes.items()} | parts
    except ImseError as error:
        raise ImseError(f"{weights}: unusable network configuration: {error}") from error


def _parts(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: config[name] for name in _PARTS}


class NativeEngine:
    """A safetensors file of a network with MALA attention and IDConv embedding.

    Args:
        weights: The file.
        threads: Processor threads that one call uses, at most as many as this process has processors.

    Raises:
        ImseError: The file is not one, or holds another kind of network, or the engine was not compiled.
    """

    # Each segment already keeps all threads busy; several would only take more memory.
    batch = 1

    def __init__(self, weights: Path, threads: int = 1) -> None:
        self.name = str(weights)
        try:
            with safe_open(weights, framework="numpy") as file:
                config = _config(file.metadata(), weights)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, TypeError) as error:  # the latter for kinds of numbers that numpy does not have
            raise UnsupportedWeightsError(
                f"{weights}: not a safetensors file, or a damaged one; published weights need --engine torch, or "
                "'imse convert' first"
            ) from error
        if _parts(config) != _PARTS:
            raise UnsupportedWeightsError(
                f"{weights}: the compiled engine has no {' and '.join(_parts(config).values())}: use --engine torch"
            )
        if config["bins"] != BINS:
            raise UnsupportedWeightsError(
                f"{weights}: the compiled engine runs on {BINS} bins, not {config['bins']}: use --engine torch"
            )
        try:
            self._network = NativeNetwork(config["channels"], config["blocks"], config["bins"], tensors, threads)
        except ImseError as error:
            raise ImseError(f"{weights}: {error}") from error

    def __call__(self, waveform: Floats) -> Enhanced:
        """See `imse.engine.interface.Engine`."""
        noisy, phase = compress(stft(waveform))
        outputs = [self._network.run(*segment) for segment in zip(noisy, phase, strict=True)]
        magnitude, real, imag = (np.stack(parts) for parts in zip(*outputs, strict=True))
        amplitude = magnitude ** (1 / COMPRESSION)
        spectrum = np.empty(amplitude.shape, np.complex64)
        spectrum.real, spectrum.imag = amplitude * real, amplitude * imag
        enhanced = istft(spectrum, waveform.shape[1])
        return Enhanced(enhanced, noisy.transpose(0, 2, 1), magnitude.transpose(0, 2, 1))

    def run(self, magnitude: Floats, phase: Floats) -> tuple[Floats, Floats]:
        """The network alone: compressed magnitude and phase, [B, bins, T] each, to the same."""
        outputs = [self._network.run(m.T, p.T) for m, p in zip(magnitude, phase, strict=True)]
        enhanced, real, imag = (np.stack(parts).transpose(0, 2, 1) for parts in zip(*outputs, strict=True))
        return enhanced, np.arctan2(imag, real)
