"""Reading the text files that a user names: recipes and tables of recordings."""

from __future__ import annotations

import stat
from pathlib import Path

from imse.errors import ImseError


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        OSError: The file cannot be read.
        ImseError: Not UTF-8, or a pipe or a device, on which reading might never end.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a folder fails when it is opened
            raise ImseError(f"{path}: a pipe or a device; a recipe or a table is a file")
        return path.read_text(encoding="utf-8")
    except ValueError as error:  # bytes that are not UTF-8, or a name with a null character
        raise ImseError(f"{path}: not a text file in UTF-8") from error
