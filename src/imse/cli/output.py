"""What commands have in common about the files that they write."""

from __future__ import annotations

from pathlib import Path

import click

from imse.atomic_write import require_writable
from imse.errors import ImseError

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace output files that exist.")


def check_output(path: Path, overwrite: bool) -> None:
    """Find out before the work whether a file can be written, and may be.

    Raises:
        OSError: A circle of symbolic links.
        ImseError: No file can be written there, or one exists and `overwrite` was not given.
    """
    require_writable(path)
    refuse_existing(path, overwrite)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Protect a file that exists, unless it is to be replaced.

    Raises:
        ImseError: The path exists, and `overwrite` was not given.
    """
    if path.exists() and not overwrite:
        raise ImseError(f"{path}: already there; --overwrite replaces it")
