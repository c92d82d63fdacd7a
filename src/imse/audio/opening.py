"""Opening a file with the library that can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imse.atomic_write import atomic_write
from imse.audio.callbacks import CallbackFile
from imse.audio.formats import AV_EXTENSIONS, AV_FORMATS
from imse.audio.interface import AudioInfo, Reader, Writer
from imse.audio.sndfile import NotSoundError, SndfileReader, SndfileWriter
from imse.audio.stdio import STDIO, spooled_standard_input, spooled_standard_output
from imse.errors import ImseError

_HEAD = 65_536
"""Bytes in which mpg123 looks for an MPEG frame; it complains on standard error if there is none."""
_NEEDS_PYAV = "needs PyAV: pip install 'imse[av]'"


@contextmanager
def open_reader(path: Path) -> Iterator[Reader]:
    """Open an audio file, or ``-`` for WAV from standard input.

    Raises:
        OSError: No such file, no permission, a folder.
        ImseError: Not audio, or of a kind that needs PyAV, or a pipe, which cannot be read twice.
    """
    if path == STDIO:
        with spooled_standard_input() as spooled:
            yield _reader(spooled, "standard input")
    else:
        yield _reader(path, str(path))


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when the block ends well, or not at all; ``-`` for standard output.

    Raises:
        OSError: No permission, disk full, a folder that cannot be made.
        ImseError: A device or a pipe, or another run writes it at the same time.
    """
    with spooled_standard_output() if path == STDIO else atomic_write(path) as file:
        yield file


@contextmanager
def open_writer(path: Path, output: AudioInfo) -> Iterator[Writer]:
    """Write an audio file with the tags of its source: it appears when the block ends well, or not at all.

    Args:
        path: The output; ``-`` for standard output.
        output: What to write, as `imse.audio.output_format_for` says.

    Raises:
        OSError: No permission, disk full, a folder that cannot be made.
        ImseError: The format cannot be written, or cannot hold such sound.
    """
    with open_output(path) as file:
        sink = CallbackFile(file)
        if output.format in AV_FORMATS:
            try:
                from imse.audio.av_writer import AvWriter
            except ModuleNotFoundError:
                raise ImseError(f"{path}: {_NEEDS_PYAV}") from None
            with AvWriter(sink, output, path) as writer:
                yield writer
        else:
            with SndfileWriter(sink, output, path) as writer:
                yield writer
        sink.raise_error()
        from imse.audio.tags import copy_tags  # only where a file is written: mutagen takes a while to import

        copy_tags(output, file, path)
        if output.format == "OGG":
            from imse.audio.tags.vorbis import number_ogg

            number_ogg(file)


def _reader(path: Path, name: str) -> Reader:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ImseError(f"{name}: a pipe or a device; use - to read standard input")
    with path.open("rb") as file:  # the operating system says best what is wrong with a name
        head = file.read(_HEAD)
    if not head:
        raise ImseError(f"{name}: an empty file")
    by_av = path.suffix.lower() in AV_EXTENSIONS
    try:
        if path.suffix.lower() == ".mp3" and b"\xff" not in head:
            raise NotSoundError(f"{name}: not audio that can be read (no MPEG frame)")
        reader = SndfileReader(path, name)
        return _av_reader_of_all(reader, path, name) if reader.is_partial else reader
    except NotSoundError as not_sound:
        try:
            from imse.audio.av_reader import AvReader
        except ModuleNotFoundError:
            if by_av:
                raise ImseError(f"{name}: {_NEEDS_PYAV}") from None
            raise not_sound from None
        try:
            # What libsndfile calls malformed, FFmpeg may read, but not all of it.
            return AvReader(path, name, damaged=not by_av and "malformed" in str(not_sound))
        except ImseError:
            if by_av:
                raise
            raise not_sound from None


def _av_reader_of_all(reader: SndfileReader, path: Path, name: str) -> Reader:
    try:
        from imse.audio.av_reader import AvReader
    except ModuleNotFoundError:
        raise ImseError(f"{name}: damaged, or joined from several files: {_NEEDS_PYAV}") from None
    return AvReader(path, name, reader.info, reader.is_damaged)
