"""Files that FFmpeg reads through PyAV: m4a, and the sound of a video.

Imported only for files that need it: PyAV is the extra ``imse[av]``.
"""

from __future__ import annotations

import errno
import io
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from imse.audio.interface import AudioInfo, Block, Reader
from imse.errors import ImseError

# A playlist or a script must open neither other files nor the network. No protocol of FFmpeg has this name.
_NO_PROTOCOLS = {"protocol_whitelist": "none"}
_CONTAINER_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
_IMAGES = {"mjpeg": "jpeg"}  # FFmpeg's name of a codec, and that of a MIME type
_SEGMENT = bytes.fromhex("18538067")
_NEED_FLOAT64 = frozenset({"s32", "s32p", "s64", "s64p", "dbl", "dblp"})


class AvReader(Reader):
    """Reads the first audio track of anything that FFmpeg understands.

    Containers state its length too roughly, and often no bit rate at all: `info` has both only after a complete pass.

    Args:
        path: The file.
        name: What to call it in messages.
        info: What is known of a sound file that libsndfile reads in part.
        damaged: Whether the file is known to be damaged.

    Raises:
        ImseError: Not a media file, one without sound, or sound that cannot be decoded.
    """

    def __init__(self, path: Path, name: str, info: AudioInfo | None = None, damaged: bool = False) -> None:
        self._path = path
        self._known_damage = damaged
        with opened(path, name) as (container, stream):
            super().__init__(name, replace(info, frames=0) if info else _info(container, stream, path))
            if container.format.name.startswith("matroska"):
                self._known_damage |= _matroska_is_cut(path)

    def _decode(self) -> Iterator[Block]:
        self._met_damage = self._known_damage
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


class _File(io.BufferedReader):
    """A file for FFmpeg, which seeks to impossible places in damaged ones: PyAV would print an exception."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError):
            return -errno.EINVAL  # as FFmpeg's own functions say it


@contextmanager
def opened(path: Path, name: str) -> Iterator[tuple[InputContainer, AudioStream]]:
    """A media file and its first audio stream.

    Raises:
        OSError: The file cannot be opened.
        ImseError: Not a media file, one without sound, or with sound that FFmpeg cannot decode.
    """
    with ExitStack() as resources:
        # Opened here: of a name such as 10:30.m4a, FFmpeg would take the beginning for a protocol.
        file = resources.enter_context(_File(io.FileIO(path)))
        try:
            container = av.open(file, mode="r", options=_NO_PROTOCOLS, metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise ImseError(f"{name}: not audio that can be read") from error
        resources.callback(container.close)
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


def is_picture(stream: Stream) -> bool:
    """Whether a stream is one picture, as a cover is, and not a video."""
    return bool(stream.disposition & Disposition.attached_pic)


def pictures_of(container: InputContainer) -> Iterator[tuple[str, str, bytes]]:
    """MIME type, name (or nothing) and content of each picture."""
    for stream in container.streams.video:
        if is_picture(stream):
            codec = stream.codec_context.name
            packet = next((packet for packet in container.demux(stream) if packet.size), None)
            if packet is not None:
                yield f"image/{_IMAGES.get(codec, codec)}", stream.metadata.get("filename", ""), bytes(packet)


def _matroska_is_cut(path: Path) -> bool:
    """Whether a file is shorter than its one segment says (RFC 8794 and 9559); FFmpeg plays what there is."""
    with path.open("rb") as file:
        file.seek(4)  # after the number of the first element, the header
        file.seek(_size(file) or 0, 1)
        number = file.read(4)
        size = _size(file)
        return number == _SEGMENT and size is not None and file.tell() + size > path.stat().st_size


def _size(file: BinaryIO) -> int | None:
    """The size of an element: as many bytes as the first one has leading zeros, and one more; None if unknown."""
    first = file.read(1)
    length = 9 - first[0].bit_length() if first else 9
    if length > 8:
        return None
    size = int.from_bytes(first + file.read(length - 1), "big") & (1 << 7 * length) - 1
    return None if size == (1 << 7 * length) - 1 else size


def _info(container: InputContainer, stream: AudioStream, path: Path) -> AudioInfo:
    return AudioInfo(
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        frames=0,
        format=container.format.name,
        subtype=stream.codec_context.codec.canonical_name,
        extension=path.suffix.lower(),
        source=path,
        is_multimedia=True,
    )
