"""What tags say, whatever the form they are stored in: pairs as in Vorbis comments, and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mutagen.flac import Picture

Native = TypeVar("Native")

_ALIASES = {
    "ALBUM ARTIST": "ALBUMARTIST", "ALBUM_ARTIST": "ALBUMARTIST", "YEAR": "DATE", "TRACK": "TRACKNUMBER",
    "TRACK NUMBER": "TRACKNUMBER", "DISC": "DISCNUMBER", "DISK": "DISCNUMBER", "TOTALTRACKS": "TRACKTOTAL",
    "TOTALDISCS": "DISCTOTAL", "COMMENTS": "COMMENT", "RECORDED DATE": "DATE", "ENCODING APPLICATION": "ENCODER",
    "ENCODED_BY": "ENCODEDBY", "ENCODED-BY": "ENCODEDBY",
}  # fmt: skip
_TOTALS = {"TRACKNUMBER": "TRACKTOTAL", "DISCNUMBER": "DISCTOTAL"}
_NUMBER_OF = re.compile(r"(\d+)/(\d+)")


@dataclass
class Tags:
    """The tags of a file.

    Attributes:
        texts: Keys and values; a key may come several times, and its case does not matter.
        pictures: Covers and the like.
        natives: What the input's tags are in their own form (mutagen's classes): an output that has the same form gets
            all of it, also what is no text.
    """

    texts: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    natives: list[object] = field(default_factory=list)

    def native(self, kind: type[Native]) -> Native | None:
        """The tags in one form of their own, if they came in it."""
        return next((native for native in self.natives if isinstance(native, kind)), None)

    def add_missing(self, texts: Iterable[tuple[str, str]]) -> None:
        """Add values of keys that are not there yet."""
        known = {canonical(key) for key, _ in self.texts}
        self.texts += [(key, value) for key, value in texts if canonical(key) not in known]

    def by_key(self) -> dict[str, list[str]]:
        """All values of each key, as most forms want them: numbers with their totals ("3/12"), and a comment.

        Many programs (FFmpeg too) write the comment of a FLAC or Ogg file as its description, which others do not show.
        """
        spelling: dict[str, str] = {}
        values: dict[str, list[str]] = {}
        for key, value in self.texts:
            name = canonical(key)
            known = spelling.setdefault(name, name if name in KNOWN else key)
            values.setdefault(known, []).append(value)
        for number, total in _TOTALS.items():
            if len(values.get(number, ())) == len(values.get(total, ())) == 1 and "/" not in values[number][0]:
                values[number] = [f"{values[number][0]}/{values.pop(total)[0]}"]
        if "DESCRIPTION" in values:
            values.setdefault("COMMENT", values["DESCRIPTION"])
        return values


def canonical(key: str) -> str:
    """One name for the names under which the same thing is known."""
    return _ALIASES.get(key.upper(), key.upper())


def named(key: str) -> str:
    """The key as a Vorbis comment spells it, if it is a usual one; else as it is."""
    return canonical(key) if canonical(key) in KNOWN else key


def with_totals_apart(texts: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Numbers like "3/12" as a number and a total, as Vorbis comments have them."""
    result: list[tuple[str, str]] = []
    for key, value in texts:
        total = _TOTALS.get(canonical(key))
        found = _NUMBER_OF.fullmatch(value)
        result += [(key, found[1]), (total, found[2])] if total and found else [(key, value)]
    return result


def renamed(texts: Mapping[str, str], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Texts of another form, under the names of Vorbis comments."""
    return with_totals_apart((names.get(key, named(key)), value) for key, value in texts.items())


KNOWN = frozenset({
    "TITLE", "ARTIST", "ALBUM", "ALBUMARTIST", "COMPOSER", "LYRICIST", "CONDUCTOR", "REMIXER", "PERFORMER", "DATE",
    "ORIGINALDATE", "GENRE", "TRACKNUMBER", "TRACKTOTAL", "DISCNUMBER", "DISCTOTAL", "DISCSUBTITLE", "SUBTITLE",
    "GROUPING", "COMMENT", "DESCRIPTION", "COPYRIGHT", "LYRICS", "ISRC", "PUBLISHER", "LANGUAGE", "BPM", "MOOD",
    "MEDIA", "COMPILATION", "ENCODER", "ENCODEDBY", "TITLESORT", "ARTISTSORT", "ALBUMSORT", "ALBUMARTISTSORT",
    "COMPOSERSORT",
})  # fmt: skip
"""Keys that other forms have names of their own for."""
