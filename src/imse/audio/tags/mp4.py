"""The tags of MPEG-4 files (m4a, mp4), as iTunes defined them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from mutagen.flac import Picture
from mutagen.mp4 import MP4, AtomDataType, MP4Cover, MP4FreeForm, MP4Tags

from imse.audio.tags.fields import Tags, canonical, named, with_totals_apart

_NAMES = {
    "©nam": "TITLE", "©ART": "ARTIST", "©alb": "ALBUM", "aART": "ALBUMARTIST", "©wrt": "COMPOSER", "©day": "DATE",
    "©gen": "GENRE", "©cmt": "COMMENT", "cprt": "COPYRIGHT", "desc": "DESCRIPTION", "©lyr": "LYRICS",
    "©grp": "GROUPING", "©too": "ENCODER", "sonm": "TITLESORT", "soar": "ARTISTSORT", "soal": "ALBUMSORT",
    "soaa": "ALBUMARTISTSORT", "soco": "COMPOSERSORT",
}  # fmt: skip
_ATOMS = {name: atom for atom, name in _NAMES.items()}
_PAIRS = {"trkn": "TRACKNUMBER", "disk": "DISCNUMBER"}
_PAIR_ATOMS = {name: atom for atom, name in _PAIRS.items()}
_BPM, _COMPILATION, _COVER = "tmpo", "cpil", "covr"
_FREE = "----:com.apple.iTunes:"
_IMAGES = {"image/jpeg": MP4Cover.FORMAT_JPEG, "image/jpg": MP4Cover.FORMAT_JPEG, "image/png": MP4Cover.FORMAT_PNG}
_MIMES = {MP4Cover.FORMAT_JPEG: "image/jpeg", MP4Cover.FORMAT_PNG: "image/png"}
_FRONT_COVER = 3
_MOST_IN_PAIR = 2**16


def read(file: BinaryIO) -> Tags | None:
    """The tags of an MPEG-4 file; None if it has none of this kind.

    Raises:
        mutagen.MutagenError: They cannot be read.
    """
    file.seek(0)
    atoms = MP4(file).tags
    if not atoms:
        return None
    tags = Tags(with_totals_apart(_texts(atoms)), natives=[atoms])
    for cover in atoms.get(_COVER, ()):
        picture = Picture()
        picture.data, picture.type = bytes(cover), _FRONT_COVER
        picture.mime = _MIMES.get(cover.imageformat, "image/jpeg")
        tags.pictures.append(picture)
    return tags


def write(tags: Tags, file: BinaryIO) -> None:
    """Put tags into an MPEG-4 file.

    Raises:
        mutagen.MutagenError: They cannot be written.
    """
    file.seek(0)
    output = MP4(file)
    if output.tags is None:
        output.add_tags()
    native = tags.native(MP4Tags)
    if native is not None:
        for key, value in native.items():
            output.tags[key] = value
    else:
        for key, values in tags.by_key().items():
            atom, content = _atom(key, values)
            output.tags[atom] = content
        covers = [picture for picture in tags.pictures if picture.mime.lower() in _IMAGES]
        if covers:
            output.tags[_COVER] = [MP4Cover(cover.data, _IMAGES[cover.mime.lower()]) for cover in covers]
    file.seek(0)
    output.save(file)


def _texts(atoms: MP4Tags) -> Iterator[tuple[str, str]]:
    for atom, content in atoms.items():
        if atom in _PAIRS:
            yield from ((_PAIRS[atom], f"{number}/{total}" if total else str(number)) for number, total in content)
        elif atom == _BPM:
            yield from (("BPM", str(value)) for value in content)
        elif atom == _COMPILATION:
            yield "COMPILATION", str(int(content))
        elif atom.startswith("----:"):
            yield from (
                (named(_respelled(atom.split(":", 2)[2], "latin-1", "utf-8")), bytes(value).decode("utf-8", "replace"))
                for value in content
                if value.dataformat == AtomDataType.UTF8
            )
        elif isinstance(content, list):
            yield from ((_NAMES.get(atom, atom), value) for value in content if isinstance(value, str))


def _atom(key: str, values: list[str]) -> tuple[str, object]:
    """An atom's name and content for the values of a key."""
    name = canonical(key)
    if name in _ATOMS:
        return _ATOMS[name], values
    if name in _PAIR_ATOMS:
        numbers = [text.split("/") for text in values]
        if all(len(parts) <= 2 and all(_fits(part) for part in parts) for parts in numbers):
            return _PAIR_ATOMS[name], [(int(parts[0]), int(parts[1]) if parts[1:] else 0) for parts in numbers]
    if name == "BPM" and all(map(_fits, values)):
        return _BPM, [int(value) for value in values]
    if name == "COMPILATION" and values in (["0"], ["1"]):
        return _COMPILATION, values == ["1"]
    return _FREE + _respelled(key, "utf-8", "latin-1"), [MP4FreeForm(value.encode()) for value in values]


def _fits(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < _MOST_IN_PAIR


def _respelled(key: str, encoded: str, decoded: str) -> str:
    """A key as mutagen has it or as it is meant: the names of atoms are UTF-8, but mutagen takes them for Latin-1."""
    try:
        return key.encode(encoded).decode(decoded)
    except UnicodeError:
        return key
