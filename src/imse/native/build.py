"""Compiling the kernels: the engine's when the package is installed, those of training when somebody first trains.

Imported by hatch_build.py before anything is installed, so nothing but the standard library is used here.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).parent
# What the kernels are compiled for, and how; the best of them is chosen when the library is opened.
INSTRUCTION_SETS: dict[str, tuple[str, ...]] = {"baseline": ()}
if platform.machine().lower() in ("x86_64", "amd64"):
    INSTRUCTION_SETS |= {
        "avx512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"),
        "avx2": ("-mavx2", "-mfma"),
    }
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-fno-math-errno", "-fvisibility=hidden", "-pthread", "-w")


class CompilationError(Exception):
    """There is no compiler, or it cannot compile this; the message is what it said."""


def build_engine(library: Path) -> None:
    """Compile the engine for every instruction set.

    Args:
        library: The file to write, whole or not at all.

    Raises:
        CompilationError: See there.
        OSError: The file cannot be written.
    """
    kernels = [("kernels.cpp", _for(name)) for name in INSTRUCTION_SETS]
    _build([("network.cpp", ()), ("weights.cpp", ()), *kernels], library)


def build_training(library: Path, instruction_set: str) -> None:
    """Compile the kernels of training for one of `INSTRUCTION_SETS`; otherwise as `build_engine`."""
    _build([("training.cpp", _for(instruction_set))], library)


def _for(instruction_set: str) -> tuple[str, ...]:
    return f"-DISA={instruction_set}", *INSTRUCTION_SETS[instruction_set]


def _build(units: Sequence[tuple[str, Sequence[str]]], library: Path) -> None:
    names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    compiler = next((found for name in names if name and (found := shutil.which(name))), None)
    if compiler is None or sys.platform == "win32":
        raise CompilationError("no C++ compiler found")

    def call(*arguments: str) -> None:
        result = subprocess.run([compiler, *arguments], capture_output=True, text=True)  # noqa: S603 - the compiler
        if result.returncode:
            raise CompilationError(result.stderr.strip())

    with tempfile.TemporaryDirectory(dir=library.parent) as folder, ThreadPoolExecutor(os.cpu_count()) as pool:

        def compile_unit(number: int) -> str:
            source, flags = units[number]
            target = str(Path(folder, f"{number}.o"))
            call(*_FLAGS, *flags, "-c", str(SOURCES / source), "-o", target)
            return target

        objects = list(pool.map(compile_unit, range(len(units))))
        linked = Path(folder, library.name)
        call("-shared", "-pthread", *objects, "-o", str(linked))
        linked.replace(library)
