"""Compiling the kernels: the engine's when the package is installed, those of training when somebody first trains.

Imported by hatch_build.py before anything is installed, so nothing but the standard library is used here.
"""

from __future__ import annotations

import hashlib
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
# Instruction sets, and the compiler flags of each; the best one is chosen when the library is opened.
INSTRUCTION_SETS: dict[str, tuple[str, ...]] = {"baseline": ()}
if platform.machine().lower() in ("x86_64", "amd64"):
    INSTRUCTION_SETS |= {
        "avx512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"),
        "avx2": ("-mavx2", "-mfma"),
    }
WARNINGS = ("-Wall", "-Wextra")
_FLAGS = (
    "-std=c++17", "-O3", "-fPIC", "-fno-math-errno", "-fvisibility=hidden", "-pthread", f"-I{SOURCES / 'include'}",
    *WARNINGS,
)  # fmt: skip

# The folders that the engine is compiled from, beside those that it shares with training.
_ENGINE_FOLDERS = ("engine", "include", "interface", "signal")

# A source file, and the flags for it beside those of all.
Unit = tuple[Path, tuple[str, ...]]


class CompilationError(Exception):
    """There is no compiler, or it cannot compile this; the message is what it said."""


def sources() -> list[Path]:
    """All C++ files and their headers, in a fixed order."""
    return sorted(file for suffix in ("cpp", "h") for file in SOURCES.rglob(f"*.{suffix}"))


def fingerprint(folder: str) -> str:
    """What "engine" or "training" is compiled from: a hash of its sources, and of this script with its flags."""
    code = hashlib.sha256(Path(__file__).read_bytes())
    folders = {"common", *(_ENGINE_FOLDERS if folder == "engine" else (folder,))}
    for file in sources():
        if file.parent.name in folders:
            code.update(file.read_bytes())
    return code.hexdigest()[:12]


def engine_units() -> list[Unit]:
    """What the engine is compiled from: its kernels once for every instruction set."""
    kernels = SOURCES / "engine" / "kernels.cpp"
    own_flags = {"imse": (f'-DFINGERPRINT="{fingerprint("engine")}"', "-DIMSE_BUILDING")}
    files = [file for file in sources() if file.suffix == ".cpp" and file.parent.name in _ENGINE_FOLDERS]
    units: list[Unit] = [(file, own_flags.get(file.stem, ())) for file in files if file != kernels]
    return units + [(kernels, _for(name)) for name in INSTRUCTION_SETS]


def training_units(instruction_set: str) -> list[Unit]:
    """What the kernels of training are compiled from, for one of `INSTRUCTION_SETS`."""
    return [(SOURCES / "training" / "training.cpp", _for(instruction_set))]


def build_engine(library: Path, flags: Sequence[str] = ()) -> None:
    """Compile the engine for every instruction set.

    Args:
        library: The file to write, whole or not at all.
        flags: More flags for the compiler.

    Raises:
        CompilationError: See there.
        OSError: The file cannot be written.
    """
    _build(engine_units(), library, flags)


def build_training(library: Path, instruction_set: str, flags: Sequence[str] = ()) -> None:
    """Compile the kernels of training for one of `INSTRUCTION_SETS`; otherwise as `build_engine`."""
    _build(training_units(instruction_set), library, flags)


def find_compiler() -> str | None:
    """The C++ compiler: $CXX, or one of the usual names; None where there is none that fits."""
    names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    found = (shutil.which(name) for name in names if name)
    return None if sys.platform == "win32" else next((compiler for compiler in found if compiler), None)


def _for(instruction_set: str) -> tuple[str, ...]:
    return f"-DISA={instruction_set}", *INSTRUCTION_SETS[instruction_set]


def _build(units: Sequence[Unit], library: Path, more_flags: Sequence[str]) -> None:
    compiler = find_compiler()
    if compiler is None:
        raise CompilationError("no C++ compiler found")

    def call(*arguments: str) -> None:
        result = subprocess.run([compiler, *arguments], capture_output=True, text=True)  # noqa: S603 - the compiler
        if result.returncode:
            raise CompilationError(result.stderr.strip())

    with tempfile.TemporaryDirectory(dir=library.parent) as folder, ThreadPoolExecutor(os.cpu_count()) as pool:

        def compile_unit(number: int) -> str:
            source, flags = units[number]
            target = str(Path(folder, f"{number}.o"))
            call(*_FLAGS, *flags, *more_flags, "-c", str(source), "-o", target)
            return target

        objects = list(pool.map(compile_unit, range(len(units))))
        linked = Path(folder, library.name)
        call("-shared", "-pthread", *objects, "-o", str(linked))
        linked.replace(library)
