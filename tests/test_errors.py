"""Errors name what to install: each module that the light install lacks has an extra that brings it."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from imse.errors import describe, extra_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Modules that come with another distribution than their own: this one.
BROUGHT_BY = {"pydantic_core": "pydantic"}


def distributions(requirements: list[str]) -> set[str]:
    """Names of distributions, as modules are spelled, with those of the extras of imse among them."""
    found = set()
    for requirement in requirements:
        if extras := re.match(r"imse\[(.+)\]", requirement):
            for extra in extras[1].split(","):
                found |= distributions(PROJECT["optional-dependencies"][extra])
        else:
            found.add(re.split(r"[^\w-]", requirement)[0].replace("-", "_"))
    return found


def imported(node: ast.AST) -> set[str]:
    """Top-level packages that a module imports anywhere, except those for the type checker alone."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return set()
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    return set().union(*map(imported, ast.iter_child_nodes(node)))


OPTIONAL = sorted(
    set().union(*(imported(ast.parse(file.read_text(encoding="utf-8"))) for file in (ROOT / "src").rglob("*.py")))
    - {"imse", *sys.stdlib_module_names, *distributions(PROJECT["dependencies"])}
    - {"tomllib"}  # in the standard library from Python 3.11 on; before, tomli is imported
)


@pytest.mark.parametrize("module", OPTIONAL)
def test_what_to_install(module: str) -> None:
    error = ModuleNotFoundError(f"No module named '{module}'", name=module)
    extra = extra_of(error)
    assert extra, f"{module} is imported, but not in imse.errors._EXTRAS"
    assert BROUGHT_BY.get(module, module) in distributions(PROJECT["optional-dependencies"][extra])
    assert describe(error) == f"this needs the module '{module}': pip install 'imse[{extra}]'"


def test_optional_modules_are_found() -> None:
    assert {"torch", "av", "pydantic"} <= set(OPTIONAL)
