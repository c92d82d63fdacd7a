"""Signals and files that the tests of audio share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from imse.audio import AudioInfo, Block, Writer, open_reader, open_writer, output_format_for

Floats = NDArray[np.floating[Any]]


def speechlike(frames: int, sample_rate: int, channels: int = 1) -> Floats:
    """A gliding tone in noise, [frames, channels], float64 within +-0.9, the channels different."""
    random = np.random.default_rng(frames + sample_rate + channels)
    seconds = np.arange(frames)[:, None] / sample_rate
    tone = 0.4 * np.sin(2 * np.pi * (180 + 90 * np.sin(2 * seconds)) * seconds + np.arange(channels))
    return np.clip(tone + 0.05 * random.standard_normal((frames, channels)), -0.9, 0.9)


def read(path: Path, frames_per_block: int = 5000) -> tuple[AudioInfo, Block]:
    with open_reader(path) as reader:
        blocks = list(reader.blocks(frames_per_block))
        empty = np.empty((0, reader.info.channels), np.float32)
        return reader.info, np.concatenate([*blocks, empty])


def open_writer_like(target: Path, info: AudioInfo) -> AbstractContextManager[Writer]:
    """A writer of the format that the target's name and an input ask for."""
    return open_writer(target, output_format_for(target, info))


def rewrite(source: Path, target: Path, frames_per_block: int = 5000) -> None:
    """Read a file and write it as the enhancer does, without enhancing."""
    with open_reader(source) as reader:
        reader.count()
        with open_writer_like(target, reader.info) as writer:
            for block in reader.blocks(frames_per_block):
                writer.write(block)


def lag(first: Floats, second: Floats) -> int:
    """Delay of the first signal relative to the second, in samples."""
    size = len(first) + len(second)
    spectrum = np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size))
    peak = int(np.argmax(np.fft.irfft(spectrum, size)))
    return peak if peak < size // 2 else peak - size


def run(*command: str | Path) -> None:
    """Run a program of the system; without it, the test is skipped."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"needs {command[0]}: apt-get install lame ffmpeg sox")
    subprocess.run(list(map(str, command)), check=True, capture_output=True, stdin=subprocess.DEVNULL)


@contextmanager
def not_root() -> Iterator[None]:
    """Run as the user `nobody` within the block, as root may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
