"""The streams of an Ogg file that follow each other (RFC 3533: a chain), each a file in itself.

libsndfile reads the first one alone.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_HEADER = 27  # bytes, before the table of segments
_POSITION = slice(6, 14)  # in the sound
_NO_POSITION = {bytes(8), bytes([255] * 8)}  # of a page of the headers, and of one in which no packet ends
_CAPTURE = b"OggS"
_BEGINS, _ENDS = 2, 4  # flags of a page


class _Page(NamedTuple):
    start: int
    stop: int
    flags: int
    holds_sound: bool


class Chain(NamedTuple):
    """What an Ogg file is made of.

    Attributes:
        parts: The bytes of each stream; one, mostly.
        ends: Whether the last one ends as it should.
        size: Bytes of the pages that hold sound, and not tags or pictures.
    """

    parts: list[range]
    ends: bool
    size: int


def chain(path: Path) -> Chain:
    """Look through the pages of an Ogg file."""
    starts = [0]
    before = _BEGINS
    size = 0
    for page in _pages(path):
        if page.flags & _BEGINS and not before & _BEGINS:
            starts.append(page.start)
        before = page.flags
        size += (page.stop - page.start) * page.holds_sound
    stops = [*starts[1:], path.stat().st_size]
    return Chain([range(start, stop) for start, stop in zip(starts, stops, strict=True)], bool(before & _ENDS), size)


def _pages(path: Path) -> Iterator[_Page]:
    with path.open("rb") as file:
        size = path.stat().st_size
        start = 0
        while len(header := file.read(_HEADER)) == _HEADER and header.startswith(_CAPTURE):
            segments = file.read(header[26])
            end = file.tell() + sum(segments)
            holds_sound = header[_POSITION] not in _NO_POSITION
            if end > size:
                yield _Page(start, size, header[5] & ~_ENDS, holds_sound)
                return
            yield _Page(start, end, header[5], holds_sound)
            start = file.seek(end)


class PartOfFile(io.RawIOBase):
    """Some of the bytes of a file, as a file of their own."""

    def __init__(self, path: Path, part: range) -> None:
        self._file = path.open("rb")
        self._part = part
        self._at = 0

    def close(self) -> None:
        """As of any file."""
        self._file.close()
        super().close()

    def readable(self) -> bool:
        """As of any file."""
        return True

    def seekable(self) -> bool:
        """As of any file."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._part)}[whence]
        return self._at

    def tell(self) -> int:
        """As of any file."""
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """As of any file."""
        count = max(0, min(len(buffer), len(self._part) - self._at))
        self._file.seek(self._part.start + self._at)
        data = self._file.read(count)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
