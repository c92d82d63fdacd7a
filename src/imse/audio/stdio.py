"""WAV from standard input and to standard output, by way of temporary files.

The input is read twice, and the header of a WAV file tells sizes that are known only at its end.
"""

from __future__ import annotations

import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from imse.atomic_write import NamedFile, errors_named
from imse.errors import ImseError

STDIO = Path("-")
"""Standard input or output, as a path."""

_UNKNOWN = 0xFFFFFFFF


@contextmanager
def spooled_standard_input() -> Iterator[Path]:
    """A temporary file with all of standard input, for as long as the block lasts.

    Raises:
        OSError: The temporary folder is full, which the error names.
        ImseError: Standard input is closed.
    """
    if sys.stdin is None:  # as after <&-
        raise ImseError("standard input is closed")
    with tempfile.TemporaryDirectory(prefix="imse-") as folder:
        path = Path(folder) / "stdin"
        with NamedFile(path, Path(tempfile.gettempdir())) as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
            _mark_unknown_size(file)
        yield path


@contextmanager
def spooled_standard_output() -> Iterator[BinaryIO]:
    """A temporary file that is copied to standard output when the block ends well.

    Raises:
        OSError: The temporary folder or standard output is full, which the error names.
        ImseError: Standard output is closed.
    """
    if sys.stdout is None:  # as after >&-
        raise ImseError("standard output is closed")
    with (
        tempfile.TemporaryDirectory(prefix="imse-") as folder,
        NamedFile(Path(folder) / "stdout", Path(tempfile.gettempdir())) as file,
    ):
        yield cast(BinaryIO, file)
        file.seek(0)
        with errors_named("standard output"):
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()


def _mark_unknown_size(file: NamedFile) -> None:
    """Turn the size 0 that some programs write to pipes into the size that libsndfile takes for "to the end"."""
    file.seek(0)
    if file.read(4) != b"RIFF" or file.read(8)[4:] != b"WAVE":
        return
    while len(header := file.read(8)) == 8:
        chunk, size = struct.unpack("<4sI", header)
        if chunk == b"data":
            if size == 0:
                file.seek(-4, 1)
                file.write(struct.pack("<I", _UNKNOWN))
            return
        file.seek(size + size % 2, 1)
