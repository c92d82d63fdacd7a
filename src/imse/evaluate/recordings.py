"""Recordings to evaluate: their headers, checked before anything is scored, and their samples at 16 kHz."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr

from imse.audio import AudioInfo, open_reader
from imse.evaluate.errors import EvaluationError
from imse.evaluate.frames import Float64s
from imse.signal.spectrum import SAMPLE_RATE

_BLOCK = 1 << 16


def inspect(path: Path) -> AudioInfo:
    """Read a recording's header.

    Raises:
        ImseError: Not audio; of several channels, or below 16 kHz, for which the measures are not defined.
        OSError: No permission.
    """
    with open_reader(path) as reader:
        if not reader.info.frames:  # the container does not say how long it is
            reader.count()
        info = reader.info
    if info.channels != 1:
        raise EvaluationError(f"{path}: {info.channels} channels; the measures are defined for one")
    if info.sample_rate < SAMPLE_RATE:
        raise EvaluationError(f"{path}: {info.sample_rate} Hz; the measures need {SAMPLE_RATE} Hz or more")
    return info


def read(path: Path) -> Float64s:
    """Samples of a recording with one channel, [samples] at 16 kHz, full scale at +-1; higher rates are resampled.

    Raises:
        ImseError: Damaged, or with samples that are not numbers.
    """
    with open_reader(path) as reader:
        blocks = [block[:, 0] for block in reader.blocks(_BLOCK)]
        if reader.damage:
            raise EvaluationError(reader.damage)
        sample_rate = reader.info.sample_rate
    signal = np.concatenate([*blocks, np.empty(0)]).astype(np.float64)
    return signal if sample_rate == SAMPLE_RATE else soxr.resample(signal, sample_rate, SAMPLE_RATE, "VHQ")
