"""Where the compiled library is kept: one file in the user's cache for each source, instruction set and machine."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from imse import native
from imse.native.build import fingerprint


def library_path() -> Path:
    """File of the library that fits this machine and these sources, whether it is there or not.

    Raises:
        ImseError: The engine is not compiled, so that the instruction set is not known.
    """
    machine = f"{sys.platform}-{platform.machine()}-{native.instruction_set()}"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder / "imse" / f"training-{machine}-{fingerprint('training')}.so"
