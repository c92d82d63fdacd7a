"""Files that FFmpeg reads through PyAV: m4a, and the sound of a video.

Imported only for files that need it: PyAV is the extra ``imse[av]``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from imse.audio.interface import AudioInfo, Block, Reader
from imse.errors import ImseError

_LOCAL_ONLY = {"protocol_whitelist": "file"}  # a playlist must not reach the network
_TAGS = {"track": "tracknumber"}  # FFmpeg's names, and libsndfile's
_CONTAINER_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
_NEED_FLOAT64 = frozenset({"s32", "s32p", "s64", "s64p", "dbl", "dblp"})


class AvReader(Reader):
    """Reads the first audio track of anything that FFmpeg understands.

    Containers state its length too roughly, and often no bit rate at all: `info` has both only after a complete pass.

    Args:
        path: The file.
        name: What to call it in messages.

    Raises:
        ImseError: Not a media file, one without sound, or sound that cannot be decoded.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        with opened(path, name) as (container, stream):
            super().__init__(name, _info(container, stream, path))

    def _decode(self) -> Iterator[Block]:
        self._met_damage = False
        frames = size = 0
        with opened(self._path, self._name) as (container, stream):
            precision = "dblp" if stream.format.name in _NEED_FLOAT64 else "fltp"
            resampler = AudioResampler(precision, stream.layout, stream.sample_rate)
            first: tuple[int, str, str] | None = None
            for packet in self._packets(container, stream):
                size += packet.size
                try:
                    decoded = packet.decode()
                except av.FFmpegError:
                    self._met_damage = True
                    continue
                for frame in decoded:
                    kind = (frame.sample_rate, frame.layout.name, frame.format.name)
                    first = first or kind
                    if kind != first:
                        raise ImseError(f"{self._name}: sample rate or channels change in the middle of the file")
                    for planar in resampler.resample(frame):
                        frames += planar.samples
                        yield cast(Block, planar.to_ndarray()).T
        if frames:
            self.info = replace(self.info, bit_rate=math.ceil(size * 8 * self.info.sample_rate / frames))

    def _packets(self, container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
        try:
            yield from container.demux(stream)
        except av.FFmpegError as error:
            raise ImseError(f"{self._name}: cannot be read ({str(error.strerror).lower()})") from error


@contextmanager
def opened(path: Path, name: str) -> Iterator[tuple[InputContainer, AudioStream]]:
    """A media file and its first audio stream.

    Raises:
        ImseError: Not a media file, one without sound, or with sound that FFmpeg cannot decode.
    """
    try:
        container = av.open(path, options=_LOCAL_ONLY, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise ImseError(f"{name}: not audio that can be read") from error
    with container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise ImseError(f"{name}: no sound that can be read")
        # PyAV gives a stream without a decoder no such attributes, and one that FFmpeg only names no format.
        if getattr(stream, "format", None) is None or not stream.sample_rate or not stream.channels:
            raise ImseError(f"{name}: unsupported encoding of the sound")
        yield container, stream


def tags_of(container: InputContainer) -> dict[str, str]:
    """Title, artist, ... as FFmpeg calls them, without what says only how the container was written."""
    return {tag: value for tag, value in container.metadata.items() if tag.lower() not in _CONTAINER_TAGS}


def _info(container: InputContainer, stream: AudioStream, path: Path) -> AudioInfo:
    return AudioInfo(
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        frames=0,
        format=container.format.name,
        subtype=stream.codec_context.codec.canonical_name,
        extension=path.suffix.lower(),
        tags={_TAGS.get(tag.lower(), tag.lower()): value for tag, value in tags_of(container).items()},
        source=path,
    )
