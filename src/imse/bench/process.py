"""Whole processes of `imse enhance`: time from start to end, processor time, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from imse.errors import ImseError


class Usage(NamedTuple):
    """What a process took.

    Attributes:
        wall_seconds: From its start to its end.
        cpu_seconds: Processor time; None where the system does not tell (Windows).
        peak_mib: The most memory it held, in MiB, but at least what this process has held so far, of which a child is
            a copy at first: measure from a small one. None likewise.
    """

    wall_seconds: float
    cpu_seconds: float | None
    peak_mib: float | None


def enhance_file(source: Path, target: Path, *options: str) -> Usage:
    """Run `imse enhance SOURCE -o TARGET` with further options as a process of its own.

    Raises:
        ImseError: It failed; the message is its last line.
    """
    command = [sys.executable, "-m", "imse", "enhance", str(source), "-o", str(target), "--overwrite", *options]
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)  # noqa: S603
        cpu_seconds, peak_mib = _wait(process)
        wall_seconds = time.perf_counter() - started
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").split("\n")
            last = next((line for line in reversed(said) if line.strip()), f"exit code {process.returncode}")
            raise ImseError(last.removeprefix("imse: "))
    return Usage(wall_seconds, cpu_seconds, peak_mib)


def _wait(process: subprocess.Popen[bytes]) -> tuple[float | None, float | None]:
    """Processor time and peak memory of a process, once it has ended."""
    if not hasattr(os, "wait4"):
        process.wait()
        return None, None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    per_mib = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / per_mib
