"""Files that appear under their name whole or not at all.

A file is written beside its place under a hidden name, and renamed when complete. A run that is killed leaves at most
that hidden file behind; the next run that writes the same file removes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from imse.errors import ImseError

_SUFFIX = ".imse-partial"
_LONGEST_NAME = 200  # bytes; most file systems take 255


def is_partial(path: Path) -> bool:
    """Whether a file is what an interrupted run left behind."""
    return path.name.endswith(_SUFFIX)


class Sink:
    """A binary file for libraries in C, through which exceptions cannot pass.

    The first error of the disk is kept, and what follows is thrown away; `check` raises it.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of the data; returns their length, whatever happens."""
        if self._error is None:
            try:
                left = memoryview(data)
                while left:
                    left = left[self._file.write(left) :]
            except OSError as error:
                self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of any file."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        return self._file.read(size)

    def check(self) -> None:
        """Raise the error that was kept, with the name of the file that was to be."""
        if self._error is not None:
            raise OSError(self._error.errno, self._error.strerror, self._name) from self._error


@contextmanager
def replacing(path: Path) -> Iterator[Sink]:
    """A file that takes the place of `path` when the block ends well, and vanishes when it does not.

    Missing folders are made. A symbolic link stays, and the file it points to is replaced. Permissions are those of
    the file replaced, or of any new file.

    Raises:
        OSError: As for any file; `filename` is `path`, not the temporary name.
        ImseError: `path` is a device or a pipe, or another run writes it at the same time.
    """
    with _errors_named(path):
        target = path.resolve()
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.exists() and not target.is_file():
            raise ImseError(f"{path}: a device or a pipe; name a file, or - for standard output")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        partial = target.with_name(_partial_name(target.name))
        partial.unlink(missing_ok=True)
        # Created here and not by tempfile: the umask then decides on its permissions, as for any other file.
        file = partial.open("x+b", buffering=0)
        identity = os.fstat(file.fileno())
    try:
        with file:
            sink = Sink(file, str(path))
            yield sink
            sink.check()
            with _errors_named(path):
                os.fsync(file.fileno())  # a full quota or a network disk may speak only now
        with _errors_named(path):
            if not _is_still(partial, identity):
                raise ImseError(f"{path}: another run is writing the same file")
            if target.exists():
                shutil.copymode(target, partial)
            partial.replace(target)
    except BaseException:
        if _is_still(partial, identity):
            partial.unlink()
        raise


def require_writable(path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written. Makes no folder yet.

    Raises:
        ImseError: `path` is a folder or a device, or lies where no file and no folder can be made.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise ImseError(f"{path}: not a file; name a file to write")
    parent = next(folder for folder in target.parents if folder.exists())
    if not parent.is_dir():
        raise ImseError(f"{path}: {parent} is a file, not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ImseError(f"{path}: no permission to write in {parent}")


@contextmanager
def to_standard_output() -> Iterator[Sink]:
    """A file that is copied to standard output when complete: only then does a WAV header know its sizes."""
    with tempfile.TemporaryFile(buffering=0) as file:
        sink = Sink(file, "standard output")
        yield sink
        sink.check()
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _partial_name(name: str) -> str:
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}{_SUFFIX}"


def _is_still(partial: Path, identity: os.stat_result) -> bool:
    try:
        return os.path.samestat(partial.stat(), identity)
    except FileNotFoundError:
        return False


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
