"""Where the compiled library is kept: in the user's cache, a file for each source, compiler and kind of machine.

Beside each library lies the hash of its content. A damaged library is not opened: the system's loader does not refuse a
truncated one but ends the process.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path

from imse import native
from imse.native.build import fingerprint, requested


def library_path() -> Path:
    """File of the library that fits this machine, these sources and what the environment asks of the compiler.

    It may not be there. The name does not depend on the compiler that is found where the environment asks for none, so
    that a library can be used after its compiler was removed.

    Raises:
        ImseError: The engine is not compiled, so that the instruction set is not known.
    """
    machine = f"{sys.platform}-{platform.machine()}-{native.instruction_set()}"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    code = hashlib.sha256("\0".join((fingerprint("training"), *requested())).encode()).hexdigest()[:12]
    return folder / "imse" / f"training-{machine}-{code}.so"


def record(library: Path) -> None:
    """Write the hash of a library that was just compiled.

    Raises:
        OSError: It cannot be written.
    """
    _record(library).write_bytes(_digest(library))


def is_whole(library: Path) -> bool:
    """Whether a library is there, as it was when its hash was recorded.

    Raises:
        OSError: It cannot be read.
    """
    return library.is_file() and _record(library).is_file() and _record(library).read_bytes() == _digest(library)


def _record(library: Path) -> Path:
    return library.with_suffix(".sha256")


def _digest(library: Path) -> bytes:
    return hashlib.sha256(library.read_bytes()).hexdigest().encode()
