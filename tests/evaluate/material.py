"""Signals and folders that the tests of evaluation share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 16_000

Floats = NDArray[np.float64]


def speech(seconds: float, seed: int = 0) -> Floats:
    """Voiced syllables with pauses, [samples] at 16 kHz: enough like speech for PESQ to find utterances in it."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * time + random.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formant = 600 + 300 * np.sin(2 * np.pi * 1.3 * time + random.uniform(0, 6))
    voice = sum(np.sin(k * phase) * np.exp(-(((k * pitch - formant) / 500) ** 2)) for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * time + random.uniform(0, 6)) + 0.3, 0, None)
    breath = 0.1 * random.standard_normal(len(time))  # gives every band syllables
    spoken = (np.asarray(voice) + breath) * syllables
    signal: Floats = 0.4 * spoken / np.abs(spoken).max() + 1e-4 * random.standard_normal(len(time))
    return signal


def noise(signal: Floats, snr_db: float, seed: int = 1) -> Floats:
    """White noise as long as a signal, at a signal-to-noise ratio to it."""
    white = np.random.default_rng(seed).standard_normal(len(signal))
    return white * np.sqrt((signal @ signal) / (white @ white)) * 10 ** (-snr_db / 20)


def write(folder: Path, signals: Mapping[str, Floats], sample_rate: int = RATE) -> Path:
    """Write signals as 16-bit files of the given names; returns the folder."""
    for name, signal in signals.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, signal, sample_rate, "PCM_16")
    return folder
