"""Which files are audio, and which are results of ours, by their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from imse.atomic_write import is_temporary
from imse.audio.formats import AV_EXTENSIONS, SNDFILE_EXTENSIONS

ENHANCED_SUFFIX = ".enhanced"
"""What `imse enhance` puts before the extension of a file, and after the name of a folder, that it writes beside its
input."""


def is_audio(path: Path) -> bool:
    """Whether a file's name says that it holds sound (a video does too)."""
    return path.suffix.lower() in SNDFILE_EXTENSIONS | AV_EXTENSIONS


def find_audio(folder: Path) -> list[Path]:
    """The audio files anywhere under a folder, sorted; hidden files and folders are passed over.

    Links to folders are followed, unless they lead back to where one came from. Links that lead nowhere are among the
    files: to open one is an error that says so.

    Raises:
        OSError: A folder that cannot be read.
    """
    return sorted(_audio_under(folder, above=()))


def _audio_under(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    here = folder.resolve()
    if here in above:
        return
    for path in folder.iterdir():
        if path.name.startswith(".") or is_temporary(path):
            continue
        if path.is_dir():
            yield from _audio_under(path, (*above, here))
        elif is_audio(path):
            yield path
