"""Files that libsndfile reads and writes: WAV, FLAC, Ogg, Opus, MP3, AIFF, CAF and more."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from imse.audio import bitrate
from imse.audio.c_stderr import quiet_in_c
from imse.audio.callbacks import CallbackFile, interrupts_deferred
from imse.audio.formats import BITS, SIZE_LIMIT, SIZE_LIMITED, bytes_per_frame
from imse.audio.interface import AudioInfo, Block, Reader
from imse.audio.mpeg import count_frames
from imse.audio.ogg import PartOfFile, chain
from imse.errors import ImseError

_FRAMES_PER_CALL = 4096
_MOST_FRAMES = 2**60  # what libsndfile says of a FLAC stream of unknown length is more
_NEVER_EMPTY = frozenset({"FLAC", "MP3", "OPUS"})
_LOSSY_OGG = frozenset({"VORBIS", "OPUS"})
_SYMMETRIC = frozenset({"ULAW", "ALAW"})
_NEED_FLOAT64 = frozenset({"PCM_32", "DOUBLE", "ALAC_32"})
# What libsndfile says of a header that states more than there is; "riff" only of W64 and RF64.
_SHORT_OF = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: *(\d+) \(should be (\d+)\)", re.MULTILINE)
_NIST_COUNT = re.compile(rb"sample_count -i (\d+)")
_NIST_HEADER = 1024
# From here on, the size in a header means that the program wrote to a pipe and did not know it.
_UNKNOWN_SIZE = 2**31 - 2**16
_MOST_METADATA = 2**20
# Samples that an encoder adds at both ends, and says so in the first frame, for decoders to cut off.
_MOST_MP3_PADDING = 2 * 4095


class NotSoundError(ImseError):
    """A file that libsndfile does not understand."""


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file that is read from its beginning to its end.

    After every read, soundfile seeks to where it is already, in files that are seekable. A seek makes the decoder of
    MP3 forget the bits that it kept from earlier frames: it then decodes the next ones wrongly, and complains.
    """

    def seekable(self) -> bool:
        return False


class SndfileReader(Reader):
    """Reads a sound file.

    Args:
        path: The file.
        name: What to call it in messages.

    Attributes:
        is_partial: Whether libsndfile decodes only a part of the file.
        is_damaged: Whether its structure says that it is damaged or cut short.

    Raises:
        NotSoundError: libsndfile does not understand the file.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._parts: list[range] = []
        self.is_partial = False
        with _opened(path, name) as file:
            super().__init__(name, _info(file, path))
            self._libsndfile_frames = file.frames
            self._known_length = file.frames < _MOST_FRAMES
            self.is_damaged = _is_cut_short(file.extra_info)
        self.is_damaged |= _is_too_large(self.info, path.stat().st_size)
        if self.info.format == "NIST":
            self.is_damaged |= _nist_frames(path) > self.info.frames
        if self.info.format == "OGG":
            pages = chain(path)
            self._parts = pages.parts
            self.is_damaged |= not pages.ends
            if len(self._parts) > 1:
                self._use_all_parts()
            if self.info.subtype in _LOSSY_OGG:
                self._set_bit_rate(pages.size, self.info.frames)
        if self.info.subtype == "MPEG_LAYER_III":
            self._check_mpeg_frames()

    def _use_all_parts(self) -> None:
        """Expect the sum of what the streams of a chain say."""
        self._expected_frames = 0
        for part in self._parts:
            with suppress(NotSoundError), self._opened_part(part) as file:
                if (file.samplerate, file.channels) != (self.info.sample_rate, self.info.channels):
                    raise ImseError(f"{self._name}: sample rate or channels change in the middle of the file")
                self._expected_frames += file.frames
        self.info = replace(self.info, frames=self._expected_frames)

    def _check_mpeg_frames(self) -> None:
        """See whether libsndfile knows of all frames; where no frame says how many there are, it guesses."""
        frames = count_frames(self._path)
        if frames is None:
            self._set_bit_rate(self._path.stat().st_size, self.info.frames)
            return
        self._set_bit_rate(frames.size, frames.samples)
        self.is_damaged |= frames.has_hole or frames.is_cut
        guessed = not frames.parts
        if guessed:
            self._expected_frames = 0
            self.info = replace(self.info, frames=frames.samples)
        missing = frames.samples - self._libsndfile_frames
        self.is_partial = frames.has_hole or frames.parts > 1 or missing > (0 if guessed else _MOST_MP3_PADDING)

    def _set_bit_rate(self, size: int, frames: int) -> None:
        """Of so many bytes for so many frames; if there are none, nobody knows."""
        if frames:
            self.info = replace(self.info, bit_rate=math.ceil(size * 8 * self.info.sample_rate / frames))

    def _decode(self) -> Iterator[Block]:
        dtype = np.float64 if self.info.subtype in _NEED_FLOAT64 else np.float32
        self._met_damage = self.is_damaged
        parts: list[range | None] = [*self._parts]
        for part in parts or [None]:
            try:
                # A new file for every pass: rewound, an MP3 decodes to slightly other samples.
                file = self._opened_part(part)
            except NotSoundError:
                self._met_damage = True  # a stream whose beginning is all that there is
                continue
            yield from self._decode_part(file, dtype)

    def _opened_part(self, part: range | None) -> soundfile.SoundFile:
        if part is None or len(self._parts) == 1:
            return _opened(self._path, self._name)
        return _opened(self._path, self._name, part)

    def _decode_part(self, file: soundfile.SoundFile, dtype: type[np.floating[Any]]) -> Iterator[Block]:
        with file:
            buffer: Block = np.empty((0, self.info.channels))
            frames = 0
            try:
                while True:
                    buffer = np.full((_FRAMES_PER_CALL, self.info.channels), np.nan, dtype)
                    with quiet_in_c():
                        block = file.read(out=buffer)
                    if not len(block):
                        return
                    frames += len(block)
                    yield block
            except soundfile.LibsndfileError:
                # It does not say how much it decoded before the damage, but leaves the rest of the buffer alone.
                block = buffer[: np.count_nonzero(~np.isnan(buffer[:, 0]))]
                yield block
                # The end of a FLAC stream of unknown length looks like damage, too.
                if self._known_length:
                    self._met_damage = True
                    if self.info.format == "FLAC":
                        yield from self._after_damage(frames + len(block), dtype)

    def _after_damage(self, frames: int, dtype: type[np.floating[Any]]) -> Iterator[Block]:
        """What FFmpeg, if it is there, can decode after as many frames, of a file in which libsndfile gave up."""
        try:
            from imse.audio.av_reader import AvReader
        except ModuleNotFoundError:
            return
        for block in AvReader(self._path, self._name).blocks(_FRAMES_PER_CALL):
            if len(block) > frames:
                yield block[frames:].astype(dtype)
            frames = max(0, frames - len(block))


class SndfileWriter:
    """Writes a sound file.

    Args:
        sink: Where the bytes go.
        info: What to write, as `output_format_for` says.
        path: What to call the file in errors.

    Raises:
        ImseError: libsndfile does not write such a file.
    """

    def __init__(self, sink: CallbackFile, info: AudioInfo, path: Path) -> None:
        self._sink = sink
        self._info = info
        self._path = path
        self._frames = 0
        with ExitStack() as resources:
            with interrupts_deferred():
                self._file = resources.enter_context(self._open(bitrate.encoder_settings(info)))
            self._resources = resources.pop_all()

    def __enter__(self) -> SndfileWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None and not self._frames and not _NEVER_EMPTY.isdisjoint({self._info.format, self._info.subtype}):
            raise ImseError(f"{self._path}: such a file cannot be empty; name one that ends in .wav")

    def close(self) -> None:
        """Write what is left; nothing can be written after it."""
        with interrupts_deferred(), quiet_in_c():
            self._resources.close()

    def _open(self, settings: tuple[float | None, str | None]) -> soundfile.SoundFile:
        info = self._info
        kind = (info.sample_rate, info.channels, info.subtype, info.endian, info.format)
        level, mode = settings
        try:
            return soundfile.SoundFile(self._sink, "w", *kind, compression_level=level, bitrate_mode=mode)
        except soundfile.LibsndfileError as error:
            reason = _reason(error)
            raise ImseError(f"{self._path}: cannot be written ({reason}); name one that ends in .wav") from error

    def write(self, block: Block) -> None:
        """See `Writer.write`."""
        self._frames += len(block)
        size = self._frames * bytes_per_frame(self._info)
        if self._info.format in SIZE_LIMITED and size > SIZE_LIMIT:
            raise ImseError(f"{self._path}: {self._info.format} holds at most 4 GiB; name one that ends in .w64")
        samples = _integers(block, self._info.subtype) if self._info.subtype in BITS else block
        with interrupts_deferred(), quiet_in_c():  # of ALAC, each block that does not compress is reported
            self._file.write(samples)
        self._sink.raise_error()


def _opened(path: Path, name: str, part: range | None = None) -> soundfile.SoundFile:
    # soundfile itself cannot encode a name whose bytes are not UTF-8.
    source = PartOfFile(path, part) if part is not None else os.fsencode(path) if os.name == "posix" else path
    try:
        with quiet_in_c():
            return _Sequential(source)
    except soundfile.LibsndfileError as error:
        raise NotSoundError(f"{name}: not audio that can be read ({_reason(error)})") from error
    except TypeError as error:  # .raw: soundfile asks what is in it
        raise NotSoundError(f"{name}: raw samples without a header; convert it to WAV first") from error


def _info(file: soundfile.SoundFile, path: Path) -> AudioInfo:
    return AudioInfo(
        sample_rate=file.samplerate,
        channels=file.channels,
        frames=file.frames if file.frames < _MOST_FRAMES else 0,
        format=file.format,
        subtype=file.subtype,
        extension=path.suffix.lower(),
        endian=file.endian,
        source=path,
    )


def _is_cut_short(log: str) -> bool:
    """Whether a header promises more than the file has, and its writer knew how much it would be."""
    sizes = ((int(stated), int(there)) for stated, there in _SHORT_OF.findall(log))
    return any(there < stated < _UNKNOWN_SIZE for stated, there in sizes)


def _nist_frames(path: Path) -> int:
    with path.open("rb") as file:
        found = _NIST_COUNT.search(file.read(_NIST_HEADER))
    return int(found[1]) if found else 0


def _is_too_large(info: AudioInfo, size: int) -> bool:
    """Whether a file goes on beyond what its header can say; libsndfile stops there."""
    unread = size - info.frames * bytes_per_frame(info)
    return info.format in SIZE_LIMITED and size > SIZE_LIMIT and unread > _MOST_METADATA


def _integers(block: Block, subtype: str) -> NDArray[np.int32]:
    """The nearest integers that an encoding has, clipped, in the upper bits of 32.

    Of floats, libsndfile would make the next lower integers; and it encodes the lowest one in G.711 as the highest.
    """
    bits = BITS[subtype]
    scale = 2.0 ** (bits - 1)
    lowest = 1 - scale if subtype in _SYMMETRIC else -scale
    nearest = np.clip(np.rint(block.astype(np.float64) * scale), lowest, scale - 1)
    return nearest.astype(np.int32) << (32 - bits)


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).removeprefix("Error : ").rstrip(".").lower()
