"""Building with make once for all test processes."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest


def make(source: Path, factory: pytest.TempPathFactory, *arguments: str) -> Path:
    """Build what a Makefile makes, or wait for the test process that does; a second make finds all done.

    Args:
        source: Folder of the Makefile.
        factory: Pytest's.
        arguments: Of make, beside BUILD.

    Returns:
        The folder of what was built.
    """
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    build = folder / f"make-{source.name}"
    with (folder / f"{build.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["make", "-j2", "-C", str(source), f"BUILD={build}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return build
