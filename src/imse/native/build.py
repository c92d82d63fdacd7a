"""Compiling the kernels: the engine's when the package is installed, those of training when somebody first trains.

Imported by hatch_build.py before anything is installed, so nothing but the standard library is used here.

The compiler is GCC or Clang, on Windows that of MinGW. The environment chooses it and its flags, as for other packages:
$CXX, a command with its arguments; $CPPFLAGS and $CXXFLAGS, which come after the flags of this file and prevail;
$LDFLAGS; and on macOS $ARCHFLAGS.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).parent
# The compiled engine, beside its sources.
LIBRARY = SOURCES / {"win32": "imse.dll", "darwin": "libimse.dylib"}.get(sys.platform, "libimse.so")
# Instruction sets of x86-64, and the compiler flags of each; the best one is chosen when the library is opened.
_OF_X86_64: dict[str, tuple[str, ...]] = {
    "baseline": (),
    "avx512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"),
    "avx2": ("-mavx2", "-mfma"),
}
# Those of this machine.
INSTRUCTION_SETS = _OF_X86_64 if platform.machine().lower() in ("x86_64", "amd64") else {"baseline": ()}
WARNINGS = ("-Wall", "-Wextra")
_FLAGS = (
    "-std=c++17", "-O3", "-fPIC", "-fno-math-errno", "-fvisibility=hidden", "-ffunction-sections", "-pthread",
    f"-I{SOURCES / 'include'}", *WARNINGS,
)  # fmt: skip
# For GNU's linker and LLVM's: templates of the standard library would otherwise be exported, and could be taken for
# those of another library in the same process.
_EXPORTS = "IMSE_1 { global: imse_*; local: *; };"
# The folders that the engine is compiled from, beside those that it shares with training.
_ENGINE_FOLDERS = ("engine", "include", "interface", "signal")
_COMPILERS = ("g++", "clang++") if sys.platform == "win32" else ("c++", "g++", "clang++")

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


def requested() -> tuple[str, ...]:
    """What the environment asks of the compiler, whether there is one or not."""
    return tuple(os.environ.get(name, "") for name in ("CXX", "CPPFLAGS", "CXXFLAGS", "LDFLAGS", "ARCHFLAGS"))


def engine_units(instruction_sets: Iterable[str] = INSTRUCTION_SETS) -> list[Unit]:
    """What the engine is compiled from: all but its kernels, and these for each instruction set."""
    flags = (f'-DFINGERPRINT="{fingerprint("engine")}"', "-DIMSE_BUILDING")
    library = (SOURCES / "interface" / "library.cpp", flags)  # takes longest
    return [library, *((SOURCES / "engine" / "kernels.cpp", _for(name)) for name in instruction_sets)]


def training_units(instruction_set: str) -> list[Unit]:
    """What the kernels of training are compiled from, for one of `INSTRUCTION_SETS`."""
    return [(SOURCES / "training" / "training.cpp", _for(instruction_set))]


def build_engine(library: Path, flags: Sequence[str] = ()) -> None:
    """Compile the engine for every instruction set of the machine that the compiler compiles for.

    Args:
        library: The file to write, whole or not at all.
        flags: More flags for the compiler.

    Raises:
        CompilationError: See there.
        OSError: The file cannot be written.
    """
    compiler = _Compiler(flags)
    compiler.build(engine_units(_OF_X86_64 if compiler.targets("__x86_64__") else ("baseline",)), library)


def build_training(library: Path, instruction_set: str, flags: Sequence[str] = ()) -> None:
    """Compile the kernels of training for one of `INSTRUCTION_SETS`, not for Windows; otherwise as `build_engine`."""
    compiler = _Compiler(flags)
    if compiler.targets("_WIN32"):  # MinGW frees a thread's variables before it destroys them
        raise CompilationError("on Windows, training has no compiled kernels")
    compiler.build(training_units(instruction_set), library)


def find_compiler() -> list[str] | None:
    """The command that calls the C++ compiler: $CXX, or one of the usual names; None where there is none."""
    try:
        return _command()
    except CompilationError:
        return None


def _command() -> list[str]:
    wanted = os.environ.get("CXX", "")
    if not wanted.strip():
        found = (shutil.which(name) for name in _COMPILERS)
        compiler = next((path for path in found if path), None)
        if compiler is None:
            raise CompilationError("no C++ compiler found")
        return [compiler]
    words = _words("CXX")
    program = shutil.which(words[0])
    if program is None:
        raise CompilationError(f"CXX={wanted}: no program '{words[0]}' found")
    return [program, *words[1:]]


def _words(variable: str) -> list[str]:
    """The words of an environment variable, as a POSIX shell splits them."""
    value = os.environ.get(variable, "")
    try:
        return shlex.split(value)
    except ValueError as error:
        raise CompilationError(f"{variable}={value}: {error}") from error


def _for(instruction_set: str) -> tuple[str, ...]:
    return f"-DISA={instruction_set}", *_OF_X86_64[instruction_set]


class _Compiler:
    """The C++ compiler with the flags of the environment.

    Args:
        flags: More flags for compiling.

    Raises:
        CompilationError: There is none, or none that fits.
    """

    def __init__(self, flags: Sequence[str]) -> None:
        self._flags = flags
        self._command = _command()
        # For macOS, where one compiler is for all machines.
        self._requested = [*_words("ARCHFLAGS"), *_words("CPPFLAGS"), *_words("CXXFLAGS")]
        self._link_flags = _words("LDFLAGS")
        macros = self._call(*self._requested, "-x", "c++", "-E", "-dM", "-")
        self._macros = {line.split()[1] for line in macros.splitlines() if line.startswith("#define ")}
        if self.targets("_WIN32") and not self.targets("__MINGW32__"):
            raise CompilationError("on Windows, imse is compiled by MinGW's g++ or clang++")

    def targets(self, macro: str) -> bool:
        """Whether a macro is defined that the compiler defines for some machines and systems."""
        return macro in self._macros

    def build(self, units: Sequence[Unit], library: Path) -> None:
        """Compile all units and link them to a shared library."""
        with tempfile.TemporaryDirectory(dir=library.parent) as folder, ThreadPoolExecutor(os.cpu_count()) as pool:

            def compile_unit(number: int) -> str:
                source, own_flags = units[number]
                target = str(Path(folder, f"{number}.o"))
                flags = (*_FLAGS, *self._for_target(), *self._requested, *own_flags, *self._flags)
                self._call(*flags, "-c", str(source), "-o", target)
                return target

            objects = list(pool.map(compile_unit, range(len(units))))
            exports = Path(folder, "exports")
            exports.write_text(_EXPORTS)
            linked = Path(folder, library.name)
            self._link(objects, exports, linked)
            linked.replace(library)

    def _for_target(self) -> tuple[str, ...]:
        if self.targets("__MINGW32__") and not self.targets("__clang__"):
            # GCC aligns the stack of Windows to 16 bytes, but moves wider vectors there as if it were aligned to their
            # size (GCC's bug 54412).
            return ("-Wa,-muse-unaligned-vector-move",)
        return ()

    def _link(self, objects: Sequence[str], exports: Path, library: Path) -> None:
        link = ("-shared", "-pthread", *self._requested, *objects, "-o", str(library), *self._link_flags)
        if self.targets("__APPLE__"):
            self._call(*link, "-Wl,-dead_strip")
        elif self.targets("_WIN32"):
            self._call(*link, "-static", "-Wl,--gc-sections")
        else:
            link = (*link, f"-Wl,--version-script={exports}", "-Wl,--gc-sections")
            # With the compiler's own libraries in it, it needs none of their version, which is often newer than that of
            # the system or of Conda. Some systems do not have them in this form.
            try:
                self._call(*link, "-static-libstdc++", "-static-libgcc")
            except CompilationError:
                self._call(*link)

    def _call(self, *arguments: str) -> str:
        command = [*self._command, *arguments]
        result = subprocess.run(command, input="", capture_output=True, text=True)  # noqa: S603 - the compiler
        if result.returncode:
            raise CompilationError(result.stderr.strip() or f"{' '.join(self._command)} failed without a message")
        return result.stdout
