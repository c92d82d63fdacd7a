"""What commands have in common about the files that they write."""

from __future__ import annotations

from pathlib import Path

import click

from imse.errors import ImseError

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace output files that exist.")


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Protect a file that exists, unless it is to be replaced.

    Raises:
        ImseError: The path exists, and `overwrite` was not given.
    """
    if path.exists() and not overwrite:
        raise ImseError(f"{path}: already there; --overwrite replaces it")
