"""Lint, format and types, as part of the tests, so that one command checks everything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imse.native import build

_ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "mypy"])
def test_tool(command: str) -> None:
    _run([sys.executable, "-m", *command.split()])


def _run(command: list[str]) -> None:
    result = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def _tool(name: str) -> str:
    return shutil.which(name) or pytest.skip(f"{name} is not installed: see .ci/run")


_PLUGINS = sorted((_ROOT / "plugins").glob("*.cpp"))


def test_cpp_format() -> None:
    more = (("tests/native", "*.cpp"), ("tests/native", "*.h"), ("examples/c", "*.[ch]"), ("plugins", "*.h"))
    files = [*build.sources(), *_PLUGINS, *(file for folder, names in more for file in (_ROOT / folder).glob(names))]
    _run([_tool("clang-format"), "--dry-run", "-Werror", *map(str, files)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "file", [*(file for file in build.sources() if file.suffix == ".cpp"), *_PLUGINS], ids=lambda file: file.stem
)
def test_cpp_lint(file: Path) -> None:
    include = f"-I{build.SOURCES / 'include'}"
    # The analyser takes two minutes for the templates of training; the sanitizers run all of them.
    checks = ("--checks=-clang-analyzer-*",) if file.stem == "training" else ()
    flags = ("-std=c++17", include, "-DISA=baseline", '-DFINGERPRINT=""')
    _run([_tool("clang-tidy"), "--quiet", *checks, str(file), "--", *flags])


@pytest.mark.slow
@pytest.mark.skipif(build.find_compiler() is None, reason="needs a C++ compiler")
def test_cpp_without_warnings(tmp_path: Path) -> None:
    """For every instruction set. Less optimisation than a user's takes half of the time, and has the same warnings."""
    build.build_engine(tmp_path / "engine.so", ["-Werror", "-O1"])
    for name in build.INSTRUCTION_SETS:
        build.build_training(tmp_path / f"{name}.so", name, ["-Werror", "-O1"])
