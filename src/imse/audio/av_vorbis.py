"""Vorbis for FFmpeg's containers, encoded by libsndfile: PyAV has no encoder of it that is fit for use.

FFmpeg's own one is experimental and takes two channels only; libvorbis is not part of PyAV's wheels. So the sound is
written to a temporary Ogg file, whose packets are then copied.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from imse.audio.callbacks import CallbackFile
from imse.audio.interface import AudioInfo, Block
from imse.audio.sndfile import SndfileWriter

_TRIAL_FRAMES = 4096


class VorbisTrack:
    """A track of Vorbis in a file that FFmpeg writes.

    Args:
        info: What to write; `bit_rate` is the least.
        path: What to call the file in errors.
    """

    def __init__(self, info: AudioInfo, path: Path) -> None:
        self._info = replace(info, format="OGG", subtype="VORBIS", extension=".ogg")
        self._path = path
        with ExitStack() as resources:
            self._file = cast(BinaryIO, resources.enter_context(tempfile.TemporaryFile()))
            self._sink = CallbackFile(self._file)
            self._encoder = resources.enter_context(self._writer(self._sink))
            self._resources = resources.pop_all()

    def __enter__(self) -> VorbisTrack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def add_to(self, output: OutputContainer) -> AudioStream:
        """Declare the track; its headers, which the muxer wants first, depend on the settings of the encoder alone."""
        with tempfile.TemporaryFile() as file:
            with self._writer(CallbackFile(cast(BinaryIO, file))) as trial:
                trial.write(np.zeros((_TRIAL_FRAMES, self._info.channels), np.float32))
            with av.open(_rewound(file), "r") as container:
                return output.add_stream_from_template(container.streams.audio[0])

    def write(self, block: Block) -> None:
        """See `Writer.write`."""
        self._encoder.write(block)

    def packets(self, stream: AudioStream, begin: int) -> Iterator[Packet[AudioStream]]:
        """What was written, complete, for the track declared; the time of its beginning is in samples."""
        self._encoder.close()
        self._sink.raise_error()
        with av.open(_rewound(self._file), "r") as container:
            for packet in container.demux(container.streams.audio[0]):
                if packet.size:
                    assert packet.pts is not None
                    packet.pts = packet.dts = packet.pts + begin
                    packet.stream = stream
                    yield packet

    def _writer(self, sink: CallbackFile) -> SndfileWriter:
        return SndfileWriter(sink, self._info, self._path)


def _rewound(file: IO[bytes]) -> IO[bytes]:
    file.seek(0)
    return file
