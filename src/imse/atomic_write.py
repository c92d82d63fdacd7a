"""Files that appear under their name whole or not at all.

A file is written beside its place under a hidden temporary name, and renamed when complete. A run that is killed leaves
at most that hidden file behind; the next run that writes the same file removes it. Where several processes may write
one file at a time, each locks its temporary file, and removes those that are not locked.
"""

from __future__ import annotations

import errno
import glob
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from imse.errors import ImseError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_TEMPORARY_SUFFIX = ".imse-partial"
_LONGEST_NAME = 200  # bytes; most file systems take 255
_TOKEN_BYTES = 4


def is_temporary(path: Path) -> bool:
    """Whether a file is one that is being written, or what an interrupted run left behind."""
    return path.name.endswith(_TEMPORARY_SUFFIX)


@contextmanager
def atomic_write(path: Path, several_writers: bool = False) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends well, and vanishes when it does not.

    Missing folders are made. A symbolic link stays, and the file it points to is replaced. Permissions are those of
    the file replaced, or of any new file.

    Args:
        path: The file to write.
        several_writers: Whether several processes may write the file at once, all with the same content: each then has
            a temporary file of its own, and the last one done stays. Otherwise the last one to begin wins, and the
            others fail.

    Yields:
        A binary file, unbuffered, open for reading and writing.

    Raises:
        OSError: As for any file; `filename` is `path`, not the temporary name.
        ImseError: `path` is a device or a pipe, or another run writes it at the same time.
    """
    with errors_named(path):
        target = _resolved(path)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.exists() and not target.is_file():
            raise ImseError(f"{path}: a device or a pipe; name a file, or - for standard output")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        if several_writers:
            _remove_leftovers(target)
            temporary, file = _locked_file(target, path)
        else:
            temporary = target.with_name(_temporary_name(target.name))
            temporary.unlink(missing_ok=True)
            # Created here and not by tempfile: the umask then decides on its permissions, as for any other file.
            file = NamedFile(temporary, path)
        identity = os.fstat(file.fileno())
    try:
        with file:
            yield cast(BinaryIO, file)
            with errors_named(path):
                os.fsync(file.fileno())  # a full quota or a network disk may speak only now
        with errors_named(path):
            if not _is_still(temporary, identity):
                raise ImseError(f"{path}: another run is writing the same file")
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
    except BaseException:
        if _is_still(temporary, identity):
            temporary.unlink()
        raise


def require_writable(path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written. Makes no folder yet.

    Raises:
        OSError: A circle of symbolic links.
        ImseError: `path` is a folder or a device, or lies where no file and no folder can be made.
    """
    with errors_named(path):
        target = _resolved(path)
        if target.exists() and not target.is_file():
            raise ImseError(f"{path}: not a file; name a file to write")
        parent = next(folder for folder in target.parents if folder.exists())
    if not parent.is_dir():
        raise ImseError(f"{path}: {parent} is a file, not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ImseError(f"{path}: no permission to write in {parent}")


class NamedFile(io.FileIO):
    """A new file that writes all it is given, and whose errors of writing name another path.

    Args:
        temporary: The file to make.
        target: The file that it will become, or whatever a user knows it by.
    """

    def __init__(self, temporary: Path, target: Path) -> None:
        super().__init__(temporary, "x+")
        self._target = target

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of the data; returns their length in bytes."""
        with errors_named(self._target):
            left = memoryview(data).cast("B")
            size = len(left)
            while left:
                left = left[super().write(left) :]
        return size


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError as error:  # until Python 3.12; later an OSError
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error


def _temporary_name(name: str, token: str = "") -> str:
    if len(os.fsencode(name)) > _LONGEST_NAME:
        import hashlib  # rarely needed, and takes 3 ms of every start

        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}{token and f'.{token}'}{_TEMPORARY_SUFFIX}"


def _locked_file(target: Path, path: Path) -> tuple[Path, NamedFile]:
    """A temporary file that one of several writers has for itself, and locks for as long as it is open."""
    import secrets

    while True:
        temporary = target.with_name(_temporary_name(target.name, secrets.token_hex(_TOKEN_BYTES)))
        file = NamedFile(temporary, path)
        _lock(file)
        if _is_still(temporary, os.fstat(file.fileno())):
            return temporary, file
        file.close()  # another writer took it for a leftover before it was locked


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary files of writers that are no more: nobody locks them."""
    any_token = "?" * 2 * _TOKEN_BYTES
    before, after = map(glob.escape, _temporary_name(target.name, any_token).rsplit(any_token, 1))
    for leftover in target.parent.glob(f"{before}{any_token}{after}"):
        with suppress(OSError), leftover.open("r+b") as file:
            if _lock(file):
                leftover.unlink()


def _lock(file: IO[bytes]) -> bool:
    """Lock an open file, if nobody else has; False where locks are not to be had."""
    if sys.platform == "win32":  # an open file cannot be removed there
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_still(temporary: Path, identity: os.stat_result) -> bool:
    try:
        return os.path.samestat(temporary.stat(), identity)
    except FileNotFoundError:
        return False


@contextmanager
def errors_named(path: str | Path) -> Iterator[None]:
    """Give errors of the system the name that a user knows a file by."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
