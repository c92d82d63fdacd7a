"""Recipes as TOML files, with overrides from the command line. Every key must be known."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from imse.train.recipe import Recipe, RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def read(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and lay overrides over it.

    Args:
        path: TOML file whose tables are the fields of `Recipe`.
        overrides: ``"table.key=value"`` each, the value in TOML's notation (a bare word is a string).

    Raises:
        RecipeError: Not TOML, an unknown key, or a value of the wrong type; the message names it.
        OSError: The file cannot be read.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error
    for override in overrides:
        _override(content, override)
    recipe = build(Recipe, content)
    return _resolve(recipe, path.parent)


def build(kind: type[T], content: Mapping[str, Any], where: str = "") -> T:
    """Make a dataclass of a mapping, tables becoming the nested dataclasses.

    Raises:
        RecipeError: An unknown key, or a value of the wrong type.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{where}{key}"
        if key not in hints:
            raise RecipeError(f"unknown key '{name}'; known here: {', '.join(sorted(hints))}")
        values[key] = _convert(hints[key], value, name)
    try:
        return kind(**values)
    except ValueError as error:
        raise RecipeError(f"{where.rstrip('.') or 'recipe'}: {error}") from error


def _convert(hint: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise RecipeError(f"'{name}' is a table, not {value!r}")
        return build(hint, value, f"{name}.")
    if get_origin(hint) is tuple:
        return _list(hint, value, name)
    if get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise RecipeError(f"'{name}' is a table, not {value!r}")
        return {key: _convert(get_args(hint)[1], item, f"{name}.{key}") for key, item in value.items()}
    if get_origin(hint) is Literal:
        return _choice(hint, value, name)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise RecipeError(f"'{name}' must be of type {hint.__name__}, not {value!r}")
    return value


def _list(hint: Any, value: Any, name: str) -> tuple[Any, ...]:
    kinds = get_args(hint)
    if not isinstance(value, list | tuple):
        raise RecipeError(f"'{name}' must be a list, not {value!r}")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise RecipeError(f"'{name}' must have {len(kinds)} values, not {value!r}")
    return tuple(_convert(kind, item, name) for kind, item in zip(kinds, value, strict=True))


def _choice(hint: Any, value: Any, name: str) -> Any:
    if value not in get_args(hint):
        raise RecipeError(f"'{name}' must be one of {', '.join(get_args(hint))}, not {value!r}")
    return value


def _override(content: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise RecipeError(f"--set takes key=value, not '{override}'")
    *tables, last = key.strip().split(".")
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            raise RecipeError(f"--set {override}: '{table}' is not a table")
    try:
        content[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        content[last] = text.strip()


def _resolve(recipe: Recipe, folder: Path) -> Recipe:
    """Paths of the data relative to the recipe become paths relative to the working directory."""
    data = recipe.data

    def below(path: str) -> str:
        return str(folder / path) if path else ""

    changed = dataclasses.replace(data, manifest=below(data.manifest), clean=below(data.clean), noisy=below(data.noisy))
    return dataclasses.replace(recipe, data=changed)
