"""ID3, the tags of MP3 and AAC files and of a chunk in WAV and AIFF files, and APE tags at the end of MP3 files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from mutagen import id3
from mutagen.apev2 import APENoHeaderError, APETextValue, APEv2
from mutagen.flac import Picture

from imse.audio.tags.fields import Tags, canonical, named, with_totals_apart

_NAMES = {
    "TIT1": "GROUPING", "TIT2": "TITLE", "TIT3": "SUBTITLE", "TPE1": "ARTIST", "TPE2": "ALBUMARTIST",
    "TPE3": "CONDUCTOR", "TPE4": "REMIXER", "TALB": "ALBUM", "TCOM": "COMPOSER", "TEXT": "LYRICIST", "TDRC": "DATE",
    "TDOR": "ORIGINALDATE", "TCON": "GENRE", "TRCK": "TRACKNUMBER", "TPOS": "DISCNUMBER", "TSST": "DISCSUBTITLE",
    "TCOP": "COPYRIGHT", "TSRC": "ISRC", "TPUB": "PUBLISHER", "TLAN": "LANGUAGE", "TBPM": "BPM", "TMOO": "MOOD",
    "TMED": "MEDIA", "TCMP": "COMPILATION", "TSSE": "ENCODER", "TENC": "ENCODEDBY", "TSOT": "TITLESORT",
    "TSOP": "ARTISTSORT", "TSOA": "ALBUMSORT", "TSO2": "ALBUMARTISTSORT", "TSOC": "COMPOSERSORT",
}  # fmt: skip
_FRAMES = {name: frame for frame, name in _NAMES.items()}
_NAMES_OF_OLD = {"TYER": "DATE", "TORY": "ORIGINALDATE"}  # ID3v2.3
_UTF8 = 3
_LANGUAGE = "eng"  # a comment must state one; most programs write, and some read, only this
_UNDO = "MP3GAIN_"  # how to undo a gain in the frames of the input, which the output does not have


def read(file: BinaryIO) -> Tags | None:
    """The tags of an MP3 or AAC file, or of a chunk; None if there are none.

    Raises:
        mutagen.MutagenError: They cannot be read.
    """
    tags = Tags()
    try:
        file.seek(0)
        frames = id3.ID3(file)
    except id3.ID3NoHeaderError:
        pass
    else:
        tags.texts = with_totals_apart(_texts(frames))
        for picture in frames.getall("APIC"):
            tags.pictures.append(_picture(picture))
        if frames.version[1] == 3:
            # Players that know ID3v2.3 alone must go on finding the tags.
            file.seek(0)
            frames = id3.ID3(file, translate=False)
        tags.natives.append(frames)
    try:
        file.seek(0)
        ape = APEv2(file)
    except APENoHeaderError:
        pass
    else:
        tags.add_missing(
            (named(key), text)
            for key, value in ape.items()
            if isinstance(value, APETextValue) and not key.upper().startswith(_UNDO)
            for text in value
        )
    return tags if tags.texts or tags.natives else None


def write(tags: Tags, file: BinaryIO) -> None:
    """Put tags at the beginning of a file that has none.

    Raises:
        mutagen.MutagenError: They cannot be written.
    """
    frames = tags.native(id3.ID3)
    is_old = frames is not None and frames.version[1] == 3
    known = {canonical(key) for key, _ in _texts(frames)} if frames else set()
    added = id3.ID3()
    for key, values in tags.by_key().items():
        if canonical(key) not in known:
            added.add(_frame(key, values))
    if frames is None:
        frames = added
        for number, picture in enumerate(tags.pictures):
            frame = id3.APIC(encoding=_UTF8, mime=picture.mime, type=picture.type, desc=picture.desc, data=picture.data)
            if frame.HashKey in frames:  # only one of each description
                frame.desc = f"{frame.desc} {number + 1}".strip()
            frames.add(frame)
    else:
        if is_old:
            added.update_to_v23()
        for frame in added.values():
            frames.add(frame)
    file.seek(0)
    frames.save(file, v1=0, v2_version=3 if is_old else 4, v23_sep=None)


def _texts(frames: id3.ID3) -> Iterator[tuple[str, str]]:
    for frame in frames.values():
        name = frame.FrameID
        if name == "TXXX":
            yield from ((named(frame.desc), str(text)) for text in frame.text)
        elif name == "COMM":
            yield from ((f"COMMENT:{frame.desc}" if frame.desc else "COMMENT", str(text)) for text in frame.text)
        elif name == "USLT":
            yield "LYRICS", frame.text
        elif name == "TCON":
            yield from (("GENRE", genre) for genre in frame.genres)
        elif isinstance(frame, id3.TextFrame):
            key = _NAMES.get(name) or _NAMES_OF_OLD.get(name, name)
            yield from ((key, str(text)) for text in frame.text)
        elif isinstance(frame, id3.PairedTextFrame):
            yield from (("PERFORMER", f"{person} ({role})") for role, person in frame.people)
        elif isinstance(frame, id3.UrlFrame):
            yield getattr(frame, "desc", "") or name, frame.url


def _picture(frame: id3.APIC) -> Picture:
    picture = Picture()
    picture.data, picture.mime, picture.type, picture.desc = frame.data, frame.mime, int(frame.type), frame.desc
    return picture


def _frame(key: str, values: list[str]) -> id3.Frame:
    comment, _, description = key.partition(":")
    if comment.upper() == "COMMENT":
        return id3.COMM(encoding=_UTF8, lang=_LANGUAGE, desc=description, text=values)
    if key == "LYRICS":
        return id3.USLT(encoding=_UTF8, lang=_LANGUAGE, desc="", text="\n".join(values))
    kind = id3.Frames.get(_FRAMES.get(key, key))
    if kind is not None and issubclass(kind, id3.UrlFrame) and kind is not id3.WXXX:
        return kind(url=values[0])
    if kind is not None and issubclass(kind, id3.TextFrame) and kind not in {id3.TXXX, id3.COMM}:
        frame = kind(encoding=_UTF8, text=values)
        # A timestamp is made of digits alone; other dates are kept as free text.
        if [str(text).replace("T", " ") for text in frame.text] == [text.replace("T", " ") for text in values]:
            return frame
    return id3.TXXX(encoding=_UTF8, desc=key, text=values)
