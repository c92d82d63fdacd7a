"""What every reader and writer of audio files offers, and what is known of a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from imse.errors import ImseError

Block: TypeAlias = NDArray[np.floating[Any]]
"""Samples [frames, channels], float32 or float64, full scale at +-1."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file is; enough to write another one like it.

    Attributes:
        sample_rate: In Hz.
        channels: Number of channels.
        frames: Samples per channel according to the file, 0 if it does not say; fewer may come out of a damaged one.
        format: The container, as libsndfile ("WAV", "FLAC", "OGG", ...) or FFmpeg ("mp4", "matroska", ...) call it.
        subtype: The encoding, as libsndfile ("PCM_16", "VORBIS", ...) or FFmpeg ("aac", "opus", ...) call it.
        extension: Of the file's name, lower case with the dot.
        endian: Byte order of the samples, as soundfile calls it.
        bit_rate: Bits per second of a lossy encoding, over all channels.
        source: The file, for its tags.
        is_multimedia: Whether it may hold more than sound (pictures, subtitles) for a writer to copy.
    """

    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    extension: str = ""
    endian: str = "FILE"
    bit_rate: int | None = None
    source: Path | None = None
    is_multimedia: bool = False


class Reader(ABC):
    """An open audio file.

    Attributes:
        info: What the file is. After a complete pass, `frames` is what was decoded.
        damage: One line about damage that the last complete pass met, or None.
    """

    def __init__(self, name: str, info: AudioInfo) -> None:
        self.info = info
        self.damage: str | None = None
        self._name = name
        self._expected_frames = info.frames
        self._decoded_frames: int | None = None
        self._met_damage = False

    def blocks(self, frames_per_block: int) -> Iterator[Block]:
        """The samples from the beginning; every call makes a new pass over the file.

        Args:
            frames_per_block: Frames of every block but the last, which may be shorter and is never empty.

        Yields:
            Blocks [frames, channels]: float32, or float64 where the file holds more than float32 can.

        Raises:
            ImseError: A sample is NaN or infinite, or the file has changed since the pass before.
        """
        self.damage = None
        frames = 0
        for block in _regroup(self._decode(), frames_per_block):
            if not np.isfinite(block).all():
                raise ImseError(f"{self._name}: contains NaN or infinite samples")
            frames += len(block)
            yield block
        if self._decoded_frames not in {None, frames}:
            raise ImseError(f"{self._name}: changed while it was read")
        if self._met_damage or frames < self._expected_frames:
            self.damage = f"{self._name}: damaged or cut short; {frames} samples could be read"
        self._decoded_frames = frames
        self.info = replace(self.info, frames=frames)

    def count(self) -> None:
        """Decode everything once, so that `info` says how long it is."""
        for _ in self.blocks(self.info.sample_rate):
            pass

    @abstractmethod
    def _decode(self) -> Iterator[Block]:
        """The samples from the beginning, in blocks of any length; sets `_met_damage` if it meets damage."""


def _regroup(blocks: Iterable[Block], frames_per_block: int) -> Iterator[Block]:
    held: list[Block] = []
    missing = frames_per_block
    for block in blocks:
        rest = block
        while len(rest):
            held.append(rest[:missing])
            rest = rest[missing:]
            missing -= len(held[-1])
            if not missing:
                yield np.concatenate(held)
                held, missing = [], frames_per_block
    if held:
        yield np.concatenate(held)


class Writer(Protocol):
    """An audio file in the making."""

    def write(self, block: Block) -> None:
        """Append samples [frames, channels]; integer formats round them, and clip them at full scale.

        Raises:
            ImseError: The container cannot hold as much.
            OSError: The disk is full, or failing.
        """
