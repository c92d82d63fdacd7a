"""Tags as FFmpeg has them: one value for each key; the tags of Matroska, WebM and QuickTime files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mutagen.flac import Picture

from imse.audio.av_reader import opened, pictures_of, tags_of
from imse.audio.tags.fields import KNOWN, Tags, canonical, renamed

_NAMES = {"TRACKNUMBER": "track", "DISCNUMBER": "disc", "ALBUMARTIST": "album_artist", "ENCODEDBY": "encoded_by"}
_FRONT_COVER = 3


def read(path: Path) -> Tags:
    """The tags and pictures of a file that FFmpeg reads.

    Raises:
        ImseError: It cannot be read.
    """
    with opened(path, str(path)) as (container, _):
        tags = Tags(renamed(tags_of(container), {}))
        for mime, name, data in pictures_of(container):
            picture = Picture()
            picture.data, picture.mime, picture.desc, picture.type = data, mime, name, _FRONT_COVER
            tags.pictures.append(picture)
    return tags


def metadata(tags: Tags, known: Mapping[str, str]) -> dict[str, str]:
    """Tags as FFmpeg's muxers take them, several values of a key in one; after `known`, what the muxer has already."""
    values = {
        _NAMES.get(key, key.lower() if key in KNOWN else key): "; ".join(texts) for key, texts in tags.by_key().items()
    }
    given = {canonical(key) for key in values}
    return {**{key: value for key, value in known.items() if canonical(key) not in given}, **values}
