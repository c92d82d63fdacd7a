"""Vorbis comments, the tags of FLAC, Ogg Vorbis and Opus files."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import BinaryIO

from mutagen.flac import FLAC, Picture
from mutagen.flac import error as FLACError
from mutagen.ogg import OggFileType, OggPage
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggvorbis import OggVorbis

from imse.audio.tags.fields import Tags

_PICTURE = "METADATA_BLOCK_PICTURE"
_KINDS: tuple[type[OggFileType], ...] = (OggVorbis, OggOpus, OggFLAC, OggSpeex)
_HEAD = 256
_MOST_IN_BLOCK = 2**24 - 2**16
"""Bytes of a picture: the size of a block in FLAC has 24 bits."""
_APPLICATION, _CUE_SHEET = 2, 5


def read_flac(file: BinaryIO) -> Tags:
    """The tags, pictures and cue sheet of a FLAC file.

    Raises:
        mutagen.MutagenError: They cannot be read.
    """
    file.seek(0)
    flac = FLAC(file)
    return Tags(list(flac.tags or ()), list(flac.pictures), [flac])


def write_flac(tags: Tags, file: BinaryIO) -> None:
    """Put tags into a FLAC file.

    Raises:
        mutagen.MutagenError: They cannot be written.
    """
    file.seek(0)
    flac = FLAC(file)
    if flac.tags is None:
        flac.add_tags()
    flac.tags[:] = _valid(tags.texts)
    source = tags.native(FLAC)
    if source is not None:
        flac.metadata_blocks += [block for block in source.metadata_blocks if block.code in {_APPLICATION, _CUE_SHEET}]
    for picture in tags.pictures:
        if len(picture.data) <= _MOST_IN_BLOCK:
            flac.add_picture(picture)
    file.seek(0)
    flac.save(file)


def read_ogg(file: BinaryIO) -> Tags:
    """The tags and pictures of an Ogg file.

    Raises:
        mutagen.MutagenError: They cannot be read.
    """
    ogg = _opened(file)
    tags = Tags()
    for key, value in ogg.tags:
        if key.upper() != _PICTURE:
            tags.texts.append((key, value))
            continue
        try:
            tags.pictures.append(Picture(base64.b64decode(value)))
        except (binascii.Error, FLACError, ValueError):
            continue
    return tags


def write_ogg(tags: Tags, file: BinaryIO) -> None:
    """Put tags into an Ogg file; pictures go into comments, as Xiph says.

    Raises:
        mutagen.MutagenError: They cannot be written.
    """
    ogg = _opened(file)
    pictures = ((_PICTURE, base64.b64encode(picture.write()).decode("ascii")) for picture in tags.pictures)
    ogg.tags[:] = [*_valid(tags.texts), *pictures]
    file.seek(0)
    ogg.save(file)


def number_ogg(file: BinaryIO) -> None:
    """Give the stream of an Ogg file a number that follows from its content, so that the same sound is the same file.

    libsndfile takes a random one. Of two streams in one file, the numbers must differ, and so it is not a fixed one.
    """
    number = 0
    for page in _pages(file):
        for packet in page.packets:
            number = zlib.crc32(packet, number)
    for page in _pages(file):
        page.serial = number
        file.seek(page.offset)
        file.write(page.write())


def _pages(file: BinaryIO) -> Iterator[OggPage]:
    file.seek(0)
    with suppress(EOFError):
        while True:
            page = OggPage(file)
            after = file.tell()
            yield page
            file.seek(after)


def _opened(file: BinaryIO) -> OggFileType:
    file.seek(0)
    head = file.read(_HEAD)
    kind = max(_KINDS, key=lambda kind: kind.score("", file, head))
    file.seek(0)
    return kind(file)


def _valid(texts: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The texts with keys of printable ASCII, as the specification demands."""
    return [
        ("".join(letter if " " <= letter <= "}" and letter != "=" else "_" for letter in key) or "_", value)
        for key, value in texts
    ]
