"""Which files are audio, and which are results of ours, by their names."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from imse.atomic_write import is_temporary
from imse.audio.formats import AV_EXTENSIONS, SNDFILE_EXTENSIONS

ENHANCED_SUFFIX = ".enhanced"
"""What `imse enhance` puts before the extension of a file, and after the name of a folder, that it writes beside its
input."""


class _Folder(NamedTuple):
    """A folder to list: its path, the real paths of those above it, and how many links are on the way to it."""

    path: Path
    above: tuple[Path, ...]
    links: int


def is_audio(path: Path) -> bool:
    """Whether a file's name says that it holds sound (a video does too)."""
    return path.suffix.lower() in SNDFILE_EXTENSIONS | AV_EXTENSIONS


def find_audio(folder: Path, on_error: Callable[[OSError], None] | None = None) -> list[Path]:
    """The audio files anywhere under a folder, sorted; hidden files and folders are passed over.

    Links to folders are followed, unless they lead back to where one came from. A link below a link is followed only to
    what was not listed before: folders full of links to each other would have more paths than can be listed. Links that
    lead nowhere are among the files: to open one is an error that says so.

    Args:
        folder: Where to look.
        on_error: Called with the error of a folder that cannot be read, which is then passed over.

    Raises:
        OSError: A folder that cannot be read, if there is no `on_error`.
    """
    files: list[Path] = []
    listed: set[Path] = set()
    pending = deque([_Folder(folder, (), 0)])  # with as many links above as the one before, or more
    while pending:
        here = pending.popleft()
        try:
            real = here.path.resolve()
            if real in here.above or (here.links > 1 and real in listed):
                continue
            listed.add(real)
            for path in here.path.iterdir():
                if path.name.startswith(".") or is_temporary(path):
                    continue
                if not path.is_dir():
                    files += [path] if is_audio(path) else []
                elif path.is_symlink():
                    pending.append(_Folder(path, (*here.above, real), here.links + 1))
                else:
                    pending.appendleft(_Folder(path, (*here.above, real), here.links))
        except OSError as error:
            if on_error is None:
                raise
            on_error(error)
    return sorted(files)
