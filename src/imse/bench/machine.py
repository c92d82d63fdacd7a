"""The machine, in words that tell no more than the numbers need."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from imse.bench.record import Machine
from imse.processors import processors

_PACKAGES = ("numpy", "onnxruntime", "torch")


def describe_machine() -> Machine:
    """Processor, cores, system and versions of this machine."""
    return Machine(
        processor=_processor(),
        cores=processors(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: _version(name) for name in _PACKAGES},
    )


def _processor() -> str:
    # platform.processor() is empty, or only the architecture, on most Linux systems.
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
