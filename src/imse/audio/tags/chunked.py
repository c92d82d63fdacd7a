"""Tags in chunks: RIFF INFO and ID3 in WAV, text chunks and ID3 in AIFF, the information chunk in CAF."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from imse.audio import chunks
from imse.audio.chunks import AIFF, CAF, RIFF, Family
from imse.audio.tags.fields import KNOWN, Tags, named, with_totals_apart

# FFmpeg reads the track number under both names, libsndfile under the second, and others under either.
_INFO = {
    b"INAM": "TITLE", b"IART": "ARTIST", b"IPRD": "ALBUM", b"ICRD": "DATE", b"IGNR": "GENRE", b"ICMT": "COMMENT",
    b"ICOP": "COPYRIGHT", b"IPRT": "TRACKNUMBER", b"ITRK": "TRACKNUMBER", b"ISFT": "ENCODER", b"ITCH": "ENCODEDBY",
    b"ILNG": "LANGUAGE", b"IMUS": "COMPOSER",
}  # fmt: skip
_AIFF_TEXTS = {b"NAME": "TITLE", b"AUTH": "ARTIST", b"(c) ": "COPYRIGHT", b"ANNO": "COMMENT"}
# libsndfile reads the first name of the track number, FFmpeg the second; the others are FFmpeg's.
_CAF_NAMES = {"TRACKNUMBER": ("tracknumber", "track"), "DISCNUMBER": ("disc",), "ALBUMARTIST": ("album_artist",)}
_ID3 = {RIFF.name: b"id3 ", AIFF.name: b"ID3 "}


class ChunkedFile:
    """A file whose chunks another one of its family gets as they are.

    Args:
        path: The file.
        family: Its family.
    """

    def __init__(self, path: Path, family: Family) -> None:
        self.path = path
        self.family = family

    def copy_to(self, target: BinaryIO) -> None:
        """Add all chunks but those of the sound to another file of this family.

        Raises:
            OverflowError: The file would be larger than its header can say.
            OSError: The disk is full, or failing.
        """
        with self.path.open("rb") as source:
            for chunk in list(chunks.chunks(source, self.family)):
                source.seek(chunk.start)
                chunks.append(target, self.family, chunk.name, source, chunk.size)


def read(path: Path, file: BinaryIO, family: Family) -> Tags:
    """The tags of a WAV, AIFF or CAF file.

    Raises:
        mutagen.MutagenError: An ID3 chunk cannot be read.
    """
    tags = Tags()
    texts: list[tuple[str, str]] = []
    for chunk in chunks.chunks(file, family):
        if chunk.name.upper() == b"ID3 ":
            from imse.audio.tags import id3

            tags = id3.read(io.BytesIO(chunks.content(file, chunk))) or tags
        elif family is RIFF and chunk.name == b"LIST":
            texts += _info(chunks.content(file, chunk))
        elif family is AIFF and chunk.name in _AIFF_TEXTS:
            texts.append((_AIFF_TEXTS[chunk.name], _decoded(chunks.content(file, chunk))))
        elif family is CAF and chunk.name == b"info":
            texts += _caf_texts(chunks.content(file, chunk))
    tags.add_missing(with_totals_apart(dict.fromkeys(texts)))
    tags.natives.append(ChunkedFile(path, family))
    return tags


def write(tags: Tags, file: BinaryIO, family: Family) -> None:
    """Add tags to a complete WAV, AIFF or CAF file.

    Raises:
        mutagen.MutagenError: They cannot be written.
        OverflowError: The file would be larger than its header can say.
        OSError: The disk is full, or failing.
    """
    native = tags.native(ChunkedFile)
    if native is not None and native.family is family:
        native.copy_to(file)
        return
    texts = {key: "; ".join(values) for key, values in tags.by_key().items()}
    if family is CAF:
        if texts:
            _append(file, family, b"info", _caf_information(texts))
        return
    if family is RIFF:
        info = b"".join(_subchunk(name, texts[key]) for name, key in _INFO.items() if key in texts)
        if info:
            _append(file, family, b"LIST", b"INFO" + info)
    else:
        for name, key in _AIFF_TEXTS.items():
            if key in texts:
                _append(file, family, name, texts[key].encode())
    if tags.texts or tags.pictures:
        from imse.audio.tags import id3

        whole = io.BytesIO()
        id3.write(tags, whole)
        _append(file, family, _ID3[family.name], whole.getvalue())


def _append(file: BinaryIO, family: Family, name: bytes, data: bytes) -> None:
    chunks.append(file, family, name, io.BytesIO(data), len(data))


def _info(data: bytes) -> Iterator[tuple[str, str]]:
    """The texts in a list of information: each with a name, and a size that is made even."""
    at = 4 if data.startswith(b"INFO") else len(data)
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        text = _decoded(data[at + 8 : at + 8 + size])
        if text:
            yield _INFO.get(name, _decoded(name)), text
        at += 8 + size + size % 2


def _subchunk(name: bytes, text: str) -> bytes:
    data = text.encode() + b"\0"
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _caf_texts(data: bytes) -> list[tuple[str, str]]:
    """The keys and values of an information chunk, which follow each other, each ended by a zero."""
    words = [_decoded(word) for word in data[4:].split(b"\0")]
    return [(named(key), value) for key, value in zip(words[::2], words[1::2], strict=False) if value]


def _caf_information(texts: Mapping[str, str]) -> bytes:
    words = []
    for key, value in texts.items():
        for name in _CAF_NAMES.get(key, (key.lower() if key in KNOWN else key,)):
            words += [name, value]
    return struct.pack(">I", len(words) // 2) + b"".join(word.replace("\0", " ").encode() + b"\0" for word in words)


def _decoded(text: bytes) -> str:
    """Text in UTF-8, as most programs write it, or else in the encoding of Windows."""
    text = text.split(b"\0")[0]
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("cp1252", "replace")
