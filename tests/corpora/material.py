"""What the tests of corpora have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imse.audio import find_audio


@dataclass(frozen=True)
class Corpus:
    """A folder of recordings; `unreadable` have no output, and of `damaged` ones a part is enhanced."""

    folder: Path
    unreadable: set[str]
    damaged: set[str]

    @property
    def good(self) -> set[str]:
        """Paths of the recordings with an output."""
        return {path.relative_to(self.folder).as_posix() for path in find_audio(self.folder)} - self.unreadable


def rows(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
