"""Wall time, processor time and peak memory of whole processes of `imse enhance`."""

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
    """Resources that a process used. Processor time and memory are None where the system does not tell (Windows)."""

    wall_seconds: float
    cpu_seconds: float | None
    peak_mib: float | None  # on Linux at least that of the calling process, so call from a small one


def run_enhance(source: Path, target: Path, *options: str) -> Usage:
    """Run `imse enhance SOURCE -o TARGET` with further options in a new process.

    Raises:
        ImseError: The process failed; the message is the last line of its standard error.
    """
    command = [sys.executable, "-m", "imse", "enhance", str(source), "-o", str(target), "--overwrite", *options]
    cpu_seconds = peak_mib = None
    with tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)  # noqa: S603
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu_seconds = usage.ru_utime + usage.ru_stime
            peak_mib = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere
        exit_code = process.wait()
        wall_seconds = time.perf_counter() - started
        if exit_code:
            errors.seek(0)
            lines = errors.read().strip().splitlines() or [f"exit code {exit_code}"]
            raise ImseError(lines[-1].removeprefix("imse: "))
    return Usage(wall_seconds, cpu_seconds, peak_mib)
