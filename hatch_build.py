"""Compile src/imse/native while the package is built; where that cannot be done, the package works without it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES = Path("src/imse/native")
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-fno-math-errno", "-fvisibility=hidden", "-pthread", "-w")
# The kernels are compiled once for each of these, and the best one is chosen when the library is opened.
_X86 = {
    "avx512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"),
    "avx2": ("-mavx2", "-mfma"),
}


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled library to the wheel, which then fits this kind of machine alone."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's interface
        """See hatchling. In an editable installation the library lies beside its sources."""
        library = Path(self.root, _SOURCES, "imse_native.so")
        library.unlink(missing_ok=True)
        try:
            _compile(Path(self.root, _SOURCES), library)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
            self.app.display_warning(f"imse without its compiled engine, ONNX Runtime will do its work: {reason}")
            return
        build_data["artifacts"].append(str(library.relative_to(self.root)))
        build_data["pure_python"] = False
        # The library is called through ctypes: any Python will do.
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")


def _compile(sources: Path, library: Path) -> None:
    """Compile and link the library, whole or not at all.

    Raises:
        OSError: There is no compiler, or nothing can be written.
        subprocess.CalledProcessError: It cannot compile this.
    """
    names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    compiler = next((found for name in names if name and (found := shutil.which(name))), None)
    if compiler is None or sys.platform == "win32":
        raise OSError("no C++ compiler found")
    kinds: dict[str, tuple[str, ...]] = {"baseline": ()}
    if platform.machine().lower() in ("x86_64", "amd64"):
        kinds |= _X86
    units = [(name, f"{name}.cpp", ()) for name in ("network", "weights")]
    units += [(kind, "kernels.cpp", (f"-DISA={kind}", *flags)) for kind, flags in kinds.items()]
    with tempfile.TemporaryDirectory(dir=library.parent) as folder, ThreadPoolExecutor(os.cpu_count()) as pool:

        def build(unit: tuple[str, str, tuple[str, ...]]) -> str:
            name, source, flags = unit
            target = str(Path(folder, f"{name}.o"))
            _call(compiler, *_FLAGS, *flags, "-c", str(sources / source), "-o", target)
            return target

        objects = list(pool.map(build, units))
        linked = Path(folder, library.name)
        _call(compiler, "-shared", "-pthread", *objects, "-o", str(linked))
        linked.replace(library)


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - the compiler, found above
