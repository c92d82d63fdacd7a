"""Agreement of an engine with the network in torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from imse.checkpoint import load
from imse.engine import open_engine
from imse.engine.native import NativeEngine
from imse.engine.onnx import OnnxEngine
from imse.signal.spectrum import Floats, analyse, synthesise


def agreement_db(engine: str, weights: str | Path, safetensors: Path, signal: Floats) -> float:
    """Ratio, in dB, of the power of the torch network's output to the power of an engine's difference from it.

    Both networks run between numpy's transforms, where the engine takes spectra. Another transform changes the input:
    the first frame is symmetric, so its phases are 0 or pi, and rounding decides between pi and -pi.

    Args:
        engine: Its name.
        weights: A file that it opens, or the name of weights in the package.
        safetensors: The same network as a safetensors file.
        signal: [samples] at 16 kHz.
    """
    waveform = (signal / np.sqrt(np.mean(signal**2)))[np.newaxis]
    spectrum = analyse(waveform)
    with torch.inference_mode():
        magnitude, phase = load(safetensors)(*map(torch.from_numpy, spectrum))
    expected = synthesise(magnitude.numpy(), phase.numpy(), len(signal)).astype(np.float64)
    opened = open_engine(engine, weights, threads=1)
    if isinstance(opened, (NativeEngine, OnnxEngine)):
        found = synthesise(*opened.run(*spectrum), len(signal))
    else:
        found = opened(waveform).waveform
    return float(10 * np.log10(np.sum(expected**2) / np.sum((found - expected) ** 2)))
