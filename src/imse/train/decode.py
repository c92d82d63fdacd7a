"""Recordings as 16-bit samples at 16 kHz, whatever their files are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imse.audio import Block, open_reader
from imse.errors import ImseError, describe
from imse.signal.resample import resample_stream
from imse.signal.spectrum import SAMPLE_RATE
from imse.train.floor import remove_floor
from imse.train.manifest import DataError, Recording

FULL_SCALE = 32_768


def decode(recording: Recording) -> NDArray[np.int16]:
    """The samples [samples] of a recording: resampled, and the mean of its channels.

    Raises:
        DataError: Not readable, damaged, empty, below 16 kHz, or silent where speech is expected.
    """
    path = recording.path
    try:
        with open_reader(path) as reader:
            rate = reader.info.sample_rate
            if rate < SAMPLE_RATE:
                raise DataError(f"{path}: {rate} Hz; training needs {SAMPLE_RATE} or more")
            mono = (block.mean(axis=1, keepdims=True) for block in reader.blocks(rate))
            blocks = [_rounded(block) for block in resample_stream(mono, rate, SAMPLE_RATE, 1)]
        if reader.damage:
            raise DataError(reader.damage)
    except (ImseError, OSError) as error:
        raise DataError(describe(error)) from error
    samples = np.concatenate(blocks) if blocks else np.empty(0, np.int16)
    if recording.excerpt:
        start, end = (round(seconds * SAMPLE_RATE) for seconds in (recording.excerpt[0], sum(recording.excerpt)))
        samples = samples[start:end]
    if not len(samples):
        raise DataError(f"{path}: no samples (an empty or truncated file)")
    if recording.kind == "speech" and not samples.any():
        raise DataError(f"{path}: silent, and therefore no speech to learn from")
    return _rounded(remove_floor(samples.astype(np.float32)) / FULL_SCALE) if recording.denoised else samples


def _rounded(samples: Block) -> NDArray[np.int16]:
    """Samples of any shape [...] as [samples]."""
    return np.rint(samples.ravel() * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
