"""Which files are audio, and which are results of ours, by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from imse.atomic_write import is_temporary
from imse.audio.formats import AV_EXTENSIONS, SNDFILE_EXTENSIONS

ENHANCED_SUFFIX = ".enhanced"
"""What `imse enhance` puts before the extension of a file, and after the name of a folder, that it writes beside its
input."""


def is_audio(path: Path) -> bool:
    """Whether a file's name says that it holds sound (a video does too)."""
    return path.suffix.lower() in SNDFILE_EXTENSIONS | AV_EXTENSIONS


def find_audio(folder: Path, on_error: Callable[[OSError], None] | None = None) -> list[Path]:
    """The audio files anywhere under a folder, sorted; hidden files and folders are passed over.

    Links to folders are followed, unless they lead back to where one came from. Links that lead nowhere are among the
    files: to open one is an error that says so.

    Args:
        folder: Where to look.
        on_error: Called with the error of a folder that cannot be read, which is then passed over.

    Raises:
        OSError: A folder that cannot be read, if there is no `on_error`.
    """
    return sorted(_audio_under(folder, (), on_error))


def _audio_under(folder: Path, above: tuple[Path, ...], on_error: Callable[[OSError], None] | None) -> Iterator[Path]:
    try:
        here = folder.resolve()
        children = [] if here in above else [(path, path.is_dir()) for path in folder.iterdir()]
    except OSError as error:
        if on_error is None:
            raise
        on_error(error)
        return
    for path, is_folder in children:
        if path.name.startswith(".") or is_temporary(path):
            continue
        if is_folder:
            yield from _audio_under(path, (*above, here), on_error)
        elif is_audio(path):
            yield path
