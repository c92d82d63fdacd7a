"""Files made of chunks, each with a name and a size: WAV and RF64, AIFF, CAF.

A chunk after the sound is as good as one before it, so what is added comes at the end of the file.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

_UNKNOWN = {0xFFFFFFFF, -1, 2**64 - 1}
_LARGEST = 2**32 - 1
_MOST_CHUNKS = 1000  # what has more is no tags
_BLOCK = 2**20
_DS64_RIFF_SIZE, _DS64_DATA_SIZE = 20, 28  # places in an RF64 file


@dataclass(frozen=True)
class Family:
    """How a kind of file is laid out.

    Attributes:
        name: "RIFF", "AIFF" or "CAF".
        size: The size of a chunk, in the language of `struct`.
        first: Where the first chunk begins.
        of_sound: Chunks that say how the sound is stored, or hold it.
    """

    name: str
    size: str
    first: int
    of_sound: frozenset[bytes]


# What describes the samples (peaks, overviews) goes with them; and so do fillers.
RIFF = Family(
    "RIFF", "<I", 12,
    frozenset({b"fmt ", b"data", b"fact", b"PEAK", b"ds64", b"slnt", b"levl", b"JUNK", b"junk", b"FLLR", b"PAD "}),
)  # fmt: skip
AIFF = Family("AIFF", ">I", 12, frozenset({b"COMM", b"SSND", b"FVER", b"PEAK", b"FLLR"}))
CAF = Family("CAF", ">q", 8, frozenset({b"desc", b"data", b"pakt", b"kuki", b"chan", b"free", b"peak", b"ovvw"}))


class Chunk(NamedTuple):
    """A chunk of a file: its name, where its content begins, and how long that is in bytes."""

    name: bytes
    start: int
    size: int


def family_of(head: bytes) -> Family | None:
    """The family of the file that begins with these (at least 12) bytes."""
    if head[:4] in {b"RIFF", b"RF64"} and head[8:12] == b"WAVE":
        return RIFF
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return AIFF
    return CAF if head[:4] == b"caff" else None


def chunks(file: BinaryIO, family: Family) -> Iterator[Chunk]:
    """The chunks of a file that are whole, without those of the sound."""
    end = file.seek(0, os.SEEK_END)
    at = family.first
    header = struct.Struct(family.size)
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        name = file.read(4)
        size = file.read(header.size)
        if len(size) < header.size:
            return
        (length,) = header.unpack(size)
        start = at + 4 + header.size
        if name == b"data" and length in _UNKNOWN:
            file.seek(0)
            if file.read(4) != b"RF64":
                return  # the sound goes on to the end
            file.seek(_DS64_DATA_SIZE)
            (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if length < 0 or start + length > end or not name.isascii():
            return
        if name not in family.of_sound:
            yield Chunk(name, start, length)
        at = start + length + (length % 2 if family is not CAF else 0)


def content(file: BinaryIO, chunk: Chunk) -> bytes:
    """What is in a chunk."""
    file.seek(chunk.start)
    return file.read(chunk.size)


def append(file: BinaryIO, family: Family, name: bytes, source: BinaryIO, size: int) -> None:
    """Add a chunk at the end of a complete file.

    Args:
        file: The file, open for reading and writing.
        family: Its family.
        name: Name of the chunk.
        source: What to put into it, from where it stands.
        size: How many bytes of that.

    Raises:
        OverflowError: The file would be larger than its header can say.
        OSError: The disk is full, or failing.
    """
    end = file.seek(0, os.SEEK_END)
    if family is not CAF:
        file.write(b"\0" * (end % 2))
    file.write(name + struct.pack(family.size, size))
    while size and (block := source.read(min(size, _BLOCK))):
        file.write(block)
        size -= len(block)
    if family is not CAF:
        file.write(b"\0" * (file.tell() % 2))
        _set_size(file, family)


def _set_size(file: BinaryIO, family: Family) -> None:
    size = file.tell() - 8
    file.seek(0)
    if file.read(4) == b"RF64":
        file.seek(_DS64_RIFF_SIZE)
        file.write(struct.pack("<Q", size))
    elif size > _LARGEST:
        raise OverflowError("the file would exceed 4 GiB")
    else:
        file.seek(4)
        file.write(struct.pack(family.size, size))
