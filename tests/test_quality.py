"""Lint, format and types, as part of the tests, so that one command checks everything."""

from __future__ import annotations

import re
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


_LIBRARY, *_TEMPLATES = (
    build.SOURCES / f"{name}.cpp" for name in ("interface/library", "engine/kernels", "training/training")
)
_PARTS = [file for file in build.sources() if file.suffix == ".cpp" and file not in (_LIBRARY, *_TEMPLATES)]


def _clang_tidy(file: Path, *arguments: str, clang: tuple[str, ...] = ()) -> None:
    flags = ("-std=c++17", f"-I{build.SOURCES / 'include'}", "-DISA=baseline", '-DFINGERPRINT=""', *clang)
    _run([_tool("clang-tidy"), "--quiet", *arguments, str(file), "--", *flags])


@pytest.mark.slow
@pytest.mark.parametrize("file", [_LIBRARY, *_TEMPLATES, *_PLUGINS], ids=lambda file: file.stem)
def test_cpp_lint(file: Path) -> None:
    _clang_tidy(file, "--checks=-clang-analyzer-*")


# The analyser takes two minutes for the templates of training; the sanitizers run all of them.
@pytest.mark.slow
@pytest.mark.parametrize("file", [*_PARTS, _TEMPLATES[0], *_PLUGINS], ids=lambda file: file.stem)
def test_cpp_analysis(file: Path) -> None:
    """To a depth that takes a third of the time of the analyser's own."""
    depth = ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=30000")
    _clang_tidy(file, "--checks=-*,clang-analyzer-*", clang=depth)


def test_the_library_is_compiled_from_all_of_its_files() -> None:
    included = re.findall(r'#include "(.*)"', _LIBRARY.read_text())
    assert {(_LIBRARY.parent / name).resolve() for name in included} == {*_PARTS}
