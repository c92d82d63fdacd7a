"""Compile the engine in src/imse/native while a wheel is built; where that cannot be done, imse works without."""

from __future__ import annotations

import os
import platform
import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Whoever builds wheels for others sets this: a wheel without the engine would be one that nobody notices.
_REQUIRED = "IMSE_REQUIRE_ENGINE"


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled library to the wheel, which then fits this kind of machine alone."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's interface
        """See hatchling. In an editable installation the library lies beside its sources."""
        # Not as part of imse, which imports what is not installed yet.
        build = runpy.run_path(str(Path(self.root, "src", "imse", "native", "build.py")))
        library: Path = build["LIBRARY"]
        try:
            build["build_engine"](library)
        except (OSError, build["CompilationError"]) as error:
            if os.environ.get(_REQUIRED):
                raise
            self.app.display_warning(f"imse without its compiled engine, ONNX Runtime will do its work: {error}")
            return
        build_data["artifacts"].append(library.relative_to(self.root).as_posix())
        build_data["pure_python"] = False
        # The library is called through ctypes: any Python will do.
        build_data["tag"] = f"py3-none-{_platform_tag()}"


def _platform_tag() -> str:
    # A Python for both of macOS' machines compiles for one of them.
    name = sysconfig.get_platform().replace("universal2", platform.machine())
    return name.replace("-", "_").replace(".", "_")
