"""The tags of audio files: what the input says of itself, the output says too, in its own form.

mutagen reads and writes ID3, Vorbis comments and the tags of MPEG-4; `chunked.py` those of WAV, AIFF and CAF, as
mutagen knows no RIFF INFO; FFmpeg those of Matroska and QuickTime. Between two files of one form, nothing is
translated.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from imse.audio.chunks import family_of
from imse.audio.interface import AudioInfo
from imse.audio.mpeg import ID3V2_HEADER, id3_size
from imse.audio.tags.fields import Tags
from imse.errors import ImseError

_CHUNKED = frozenset({"WAV", "WAVEX", "RF64", "AIFF", "CAF"})
_HEAD = 12
_QUICKTIME = b"qt  "


def copy_tags(output: AudioInfo, file: BinaryIO, path: Path) -> None:
    """Give a complete file the tags of the file that it was made from, unless its muxer has them already.

    Args:
        output: What was written; its `source` has the tags.
        file: The output, open for reading and writing.
        path: What to call it in errors.

    Raises:
        ImseError: The output cannot hold the tags.
        OSError: The disk is full, or failing.
    """
    if output.source is None or output.format not in _CHUNKED | {"FLAC", "OGG", "MP3", "adts", "mp4"}:
        return
    tags = read_tags(output)
    if not (tags.texts or tags.pictures or tags.natives):
        return
    try:
        _write(tags, output, file)
    except Exception as error:
        from mutagen import MutagenError  # not needed for the tags of most WAV files

        if not isinstance(error, MutagenError | OverflowError):
            raise
        reason = error.args[0] if error.args else error
        if isinstance(reason, OSError):
            raise reason from None
        raise ImseError(f"{path}: the tags of the input cannot be written ({reason})") from error


def read_tags(info: AudioInfo) -> Tags:
    """The tags of the `source` of an output; none if there is no source, or they cannot be read."""
    if info.source is None:
        return Tags()
    try:
        with info.source.open("rb") as file:
            tags = _read(info.source, file)
        if tags is None and info.is_multimedia:
            from imse.audio.tags import ffmpeg

            tags = ffmpeg.read(info.source)
    except Exception:  # of damaged tags, mutagen raises errors of any kind
        return Tags()
    return tags or Tags()


def _read(path: Path, file: BinaryIO) -> Tags | None:
    head = file.read(_HEAD)
    family = family_of(head)
    if family is not None:
        from imse.audio.tags import chunked

        return chunked.read(path, file, family)
    if head.startswith(b"OggS"):
        from imse.audio.tags import vorbis

        return vorbis.read_ogg(file)
    if _is_flac(head, file):
        from imse.audio.tags import vorbis

        return vorbis.read_flac(file)
    if head[4:8] == b"ftyp":
        from imse.audio.tags import mp4

        return None if head[8:12] == _QUICKTIME else mp4.read(file)
    from imse.audio.tags import id3

    return id3.read(file)


def _is_flac(head: bytes, file: BinaryIO) -> bool:
    if head.startswith(b"ID3"):
        file.seek(ID3V2_HEADER + id3_size(head[6:ID3V2_HEADER]))
        head = file.read(_HEAD)
    return head.startswith(b"fLaC")


def _write(tags: Tags, output: AudioInfo, file: BinaryIO) -> None:
    if output.format in _CHUNKED:
        from imse.audio.tags import chunked

        file.seek(0)
        family = family_of(file.read(_HEAD))
        assert family is not None
        chunked.write(tags, file, family)
    elif output.format in {"FLAC", "OGG"}:
        from imse.audio.tags import vorbis

        (vorbis.write_flac if output.format == "FLAC" else vorbis.write_ogg)(tags, file)
    elif output.format == "mp4":
        from imse.audio.tags import mp4

        mp4.write(tags, file)
    else:
        from imse.audio.tags import id3

        id3.write(tags, file)
