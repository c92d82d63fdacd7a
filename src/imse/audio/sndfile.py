"""Files that libsndfile reads and writes: WAV, FLAC, Ogg, Opus, MP3, AIFF, CAF and more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile
from numpy.typing import NDArray

from imse.audio import bitrate
from imse.audio.formats import BITS, SIZE_LIMIT, SIZE_LIMITED, bytes_per_frame
from imse.audio.interface import AudioInfo, Block, Reader
from imse.audio.partial import Sink
from imse.errors import ImseError

# libsndfile forgets what it decoded in a call before it met damage, so that calls are short.
_FRAMES_PER_CALL = 4096
_NEED_FLOAT64 = frozenset({"PCM_32", "DOUBLE", "ALAC_32"})
_CUT_SHORT = re.compile(r"^ *(?:data|SSND|Data Size) *: *(\d+) \(should be \d+\)", re.MULTILINE)
# From here on, the size in a header means that the program wrote to a pipe and did not know it.
_UNKNOWN_SIZE = 2**31 - 2**16


class NotSoundError(ImseError):
    """A file that libsndfile does not understand."""


class SndfileReader(Reader):
    """Reads a sound file.

    Args:
        path: The file.
        name: What to call it in messages.

    Raises:
        NotSoundError: libsndfile does not understand the file.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        with self._open() as file:
            super().__init__(name, _info(file, path))
            self._cut_short = any(int(size) < _UNKNOWN_SIZE for size in _CUT_SHORT.findall(file.extra_info))

    def _decode(self) -> Iterator[Block]:
        dtype = "float64" if self.info.subtype in _NEED_FLOAT64 else "float32"
        self._damaged = self._cut_short
        # A new file for every pass: rewound, an MP3 decodes to slightly other samples.
        with self._open() as file:
            try:
                while len(block := file.read(_FRAMES_PER_CALL, dtype, always_2d=True)):
                    yield block
            except soundfile.LibsndfileError:
                self._damaged = True

    def _open(self) -> soundfile.SoundFile:
        try:
            return soundfile.SoundFile(self._path)
        except soundfile.LibsndfileError as error:
            raise NotSoundError(f"{self._name}: not audio that can be read ({_reason(error)})") from error
        except TypeError as error:  # .raw: soundfile asks what is in it
            raise NotSoundError(f"{self._name}: raw samples without a header; convert it to WAV first") from error


class SndfileWriter:
    """Writes a sound file.

    Args:
        sink: Where the bytes go.
        info: What to write, as `output_format_for` says.
        path: What to call the file in errors.

    Raises:
        ImseError: libsndfile does not write such a file.
    """

    def __init__(self, sink: Sink, info: AudioInfo, path: Path) -> None:
        self._sink = sink
        self._info = info
        self._path = path
        self._frames = 0
        level, mode = bitrate.encoder_settings(info)
        try:
            self._file = soundfile.SoundFile(
                sink,
                "w",
                info.sample_rate,
                info.channels,
                info.subtype,
                info.endian,
                info.format,
                compression_level=level,
                bitrate_mode=mode,
            )
        except soundfile.LibsndfileError as error:
            raise ImseError(
                f"{path}: cannot be written ({_reason(error)}); name an output that ends in .wav"
            ) from error
        for tag, value in info.tags.items():
            with suppress(soundfile.LibsndfileError):  # a container without tags, or without this one
                setattr(self._file, tag, value)

    def __enter__(self) -> SndfileWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None and not self._frames and self._info.subtype in {"MPEG_LAYER_III", "OPUS"}:
            raise ImseError(
                f"{self._path}: {self._info.subtype} cannot hold 0 samples; name an output that ends in .wav"
            )

    def write(self, block: Block) -> None:
        """See `Writer.write`."""
        self._frames += len(block)
        size = self._frames * bytes_per_frame(self._info)
        if self._info.format in SIZE_LIMITED and size > SIZE_LIMIT:
            raise ImseError(f"{self._path}: {self._info.format} holds at most 4 GiB; name an output that ends in .w64")
        bits = BITS.get(self._info.subtype)
        self._file.write(block if bits is None else _integers(block, bits))
        self._sink.check()


def _info(file: soundfile.SoundFile, path: Path) -> AudioInfo:
    info = AudioInfo(
        sample_rate=file.samplerate,
        channels=file.channels,
        frames=file.frames,
        format=file.format,
        subtype=file.subtype,
        extension=path.suffix.lower(),
        endian=file.endian,
        tags=file.copy_metadata(),
    )
    if info.subtype in bitrate.LOSSY and file.frames:
        rate, variable = bitrate.measure(path, file.frames / file.samplerate)
        return replace(info, bit_rate=rate, variable_bit_rate=variable)
    return info


def _integers(block: Block, bits: int) -> NDArray[np.int32]:
    """Nearest integers of `bits` bits, clipped, in the upper bits of 32 (libsndfile would round all down)."""
    scale = 2.0 ** (bits - 1)
    nearest = np.clip(np.rint(block.astype(np.float64) * scale), -scale, scale - 1)
    return nearest.astype(np.int32) << (32 - bits)


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).removeprefix("Error : ").rstrip(".").lower()
