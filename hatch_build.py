"""Compile the engine in src/imse/native while the package is built; where that cannot be done, it works without."""

from __future__ import annotations

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled library to the wheel, which then fits this kind of machine alone."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's interface
        """See hatchling. In an editable installation the library lies beside its sources."""
        sources = Path(self.root, "src", "imse", "native")
        # Not as part of imse, which imports what is not installed yet.
        build = runpy.run_path(str(sources / "build.py"))
        library = sources / "imse_native.so"
        library.unlink(missing_ok=True)
        try:
            build["build_engine"](library)
        except (OSError, build["CompilationError"]) as error:
            self.app.display_warning(f"imse without its compiled engine, ONNX Runtime will do its work: {error}")
            return
        build_data["artifacts"].append(str(library.relative_to(self.root)))
        build_data["pure_python"] = False
        # The library is called through ctypes: any Python will do.
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
