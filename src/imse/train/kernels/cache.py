"""Where the compiled library is kept: one file in the user's cache for each source, instruction set and machine."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path

from imse import native
from imse.native import build


def library_path() -> Path:
    """File of the library that fits this machine and these sources, whether it is there or not.

    The hash covers the C++ sources and the build script, which holds the compiler's flags.

    Raises:
        ImseError: The engine is not compiled, so that the instruction set is not known.
    """
    code = hashlib.sha256(Path(build.__file__).read_bytes())
    for file in build.sources():
        code.update(file.read_bytes())
    machine = f"{sys.platform}-{platform.machine()}-{native.kernels()}"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder / "imse" / f"training-{machine}-{code.hexdigest()[:12]}.so"
