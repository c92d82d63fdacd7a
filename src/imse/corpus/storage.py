"""Files in any storage that fsspec knows, by address: a local path, or "s3://bucket/name" and the like.

Decoders need a file that they can read twice, so one in another storage is copied to a temporary file, and an output
that goes there is first written to one. Memory stays constant whatever its length.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import fsspec
from fsspec.core import url_to_fs
from fsspec.utils import get_protocol

from imse.atomic_write import atomic_write
from imse.errors import ImseError

_MAGIC = frozenset("*?[")
_PARTIAL = ".imse-partial-"  # in the names of files that are being written
# In these, a file is there when all of it is. In others it grows, and gets its name when it is complete.
_WHOLE_ON_PUT = frozenset({"abfs", "abfss", "adl", "az", "gcs", "gs", "hf", "oci", "oss", "s3", "s3a"})


@dataclass(frozen=True)
class Found:
    """A file in a listing.

    Attributes:
        address: Where it is.
        inside: Its path below the folder that was listed, with "/".
        size: In bytes; 0 if the storage does not say.
    """

    address: str
    inside: str
    size: int = 0


def is_local(address: str) -> bool:
    """Whether an address is a path on this machine, or mounted."""
    # The name of a file may contain "::" and "://", which fsspec would take for the end of a protocol.
    return address.startswith("/") or get_protocol(address) in {"file", "local"}


def absolute(address: str) -> str:
    """An address that means the same in every process.

    Raises:
        ImseError: Other processes cannot have what is there.
    """
    if is_local(address):
        path = address.removeprefix("file://").removeprefix("local://")
        return os.path.abspath(path)  # noqa: PTH100 - links may lead elsewhere on other machines
    if get_protocol(address) == "memory":
        raise ImseError(f"{address}: the memory of one process, which the workers cannot see; give a folder")
    return address.rstrip("/")


def joined(folder: str, inside: str) -> str:
    """The address of a path below a folder."""
    return f"{folder.rstrip('/')}/{inside}"


def list_files(address: str) -> list[Found]:
    """The files below a folder, those that a glob matches, or the one file at the address; hidden ones are left out.

    Returns:
        Files sorted by their path.

    Raises:
        OSError: The storage cannot be reached, or refuses.
        ImseError: There is nothing at the address.
    """
    fs, path = _opened(address)
    if _MAGIC & set(path) and not fs.exists(path):
        root = path[: min(path.index(sign) for sign in _MAGIC & set(path))].rpartition("/")[0]
        matches = fs.glob(path, detail=True)
        listing = {name: info for name, info in matches.items() if info["type"] == "file"}
        for name, info in matches.items():
            if info["type"] == "directory":
                listing |= fs.find(name, detail=True)
    elif fs.isfile(path):
        root, listing = path.rpartition("/")[0], {path: fs.info(path)}
    else:
        root, listing = path.rstrip("/"), fs.find(path, detail=True)
    if not listing:
        raise ImseError(f"{address}: no files there")
    found = (
        Found(fs.unstrip_protocol(name) if not is_local(address) else name, name[len(root) :].lstrip("/"), _size(info))
        for name, info in listing.items()
    )
    return sorted((file for file in found if not _is_hidden(file.inside)), key=lambda file: file.inside)


def names_below(address: str) -> set[str]:
    """Paths of all complete files below a folder; none if there is no such folder.

    What a worker that was killed left behind is removed: nobody else knows its name.
    """
    fs, path = _opened(address)
    fs.invalidate_cache()
    if not fs.exists(path):
        return set()
    root = path.rstrip("/")
    complete = set()
    for name in fs.find(path):
        if _PARTIAL in name[name.rfind("/") :]:
            with suppress(FileNotFoundError):
                fs.rm_file(name)
        else:
            complete.add(name[len(root) :].lstrip("/"))
    return complete


def exists(address: str) -> bool:
    """Whether a file is complete: is there, under its name."""
    fs, path = _opened(address)
    fs.invalidate_cache(fs._parent(path))
    return bool(fs.exists(path))


def read_bytes(address: str) -> bytes:
    """All of a file. Raises `OSError` if it cannot be read."""
    fs, path = _opened(address)
    data: bytes = fs.cat_file(path)
    return data


def write_bytes(address: str, data: bytes) -> None:
    """Write a file, whole or not at all."""
    with published(address) as path, atomic_write(path) as file:
        file.write(data)


def remove(address: str) -> None:
    """Remove a file, if it is there."""
    fs, path = _opened(address)
    if fs.exists(path):
        fs.rm_file(path)


@contextmanager
def fetched(address: str) -> Iterator[Path]:
    """A file that can be read as a local one, for as long as the block lasts."""
    if is_local(address):
        yield Path(address)
        return
    fs, path = _opened(address)
    with tempfile.TemporaryDirectory(prefix="imse-") as folder:
        copy = Path(folder) / PurePosixPath(path).name
        fs.get_file(path, str(copy))
        yield copy


@contextmanager
def published(address: str) -> Iterator[Path]:
    """A path to write a file to, of the same extension. It is at its address, whole, when the block ends well."""
    if is_local(address):
        target = Path(address)
        partial = target.with_name(_partial_name(target))
        try:
            yield partial
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory(prefix="imse-") as folder:
        copy = Path(folder) / PurePosixPath(address).name
        yield copy
        fs, path = _opened(address)
        if get_protocol(address) in _WHOLE_ON_PUT:
            fs.put_file(str(copy), path)
        else:
            parent, _, _ = path.rpartition("/")
            hidden = f"{parent}/{_partial_name(PurePosixPath(path))}"
            fs.makedirs(parent, exist_ok=True)
            fs.put_file(str(copy), hidden)
            fs.mv(hidden, path)


def _partial_name(path: PurePath) -> str:
    """A hidden name that no other writer has: Ray repeats what ran on a node that seems lost, and may not be."""
    return f"{_PARTIAL}{secrets.token_hex(8)}{path.suffix}"


def _opened(address: str) -> tuple[Any, str]:
    if address.startswith("/"):
        return fsspec.filesystem("file"), address
    protocol, _, rest = address.partition("://")
    try:
        if rest and "::" not in protocol:  # it may be in the name of a file, which `url_to_fs` would take for a chain
            kind = fsspec.get_filesystem_class(protocol)
            fs, path = kind(**kind._get_kwargs_from_urls(address)), kind._strip_protocol(address)
        else:
            fs, path = url_to_fs(address)
    except (ImportError, ValueError) as error:  # a storage whose package is missing, or that nobody knows
        raise ImseError(f"{address}: {' '.join(str(error).split())}") from error
    assert isinstance(fs, fsspec.AbstractFileSystem)
    return fs, path


def _size(info: dict[str, Any]) -> int:
    return int(info.get("size") or 0)


def _is_hidden(inside: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(inside).parts)
