"""Recipes as TOML files that may extend one another, with overrides from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from imse.train.recipe import Recipe, RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = dict[str, Any]

_EXTENDS = "extends"
_LONGEST_CHAIN = 8
_PATHS = ("manifest", "clean", "noisy")  # of the table `data`


def read(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and lay overrides over it.

    A recipe may name another one to start from, ``extends = "other.toml"``, relative to its own folder. Tables of both
    are merged key by key; of a key in both, the extending recipe's value counts.

    Args:
        path: TOML file whose tables are the fields of `Recipe`.
        overrides: ``"table.key=value"`` each, the value in TOML's notation (a bare word is a string).

    Raises:
        RecipeError: Not TOML, recipes that extend each other in a circle, an unknown key, a value of the wrong type or
            out of its range, or steps set for a run that ends by time; the message names the key or the file.
        OSError: A file cannot be read.
    """
    path = Path(path)
    content = _read_chain(path, ())
    given: Table = {}
    for override in overrides:
        given = _merged(given, _parsed(override))
    recipe = _validated(_merged(content, _located(given, path.parent)))
    if "steps" in given.get("optim", {}) and recipe.optim.minutes:
        raise RecipeError(
            f"--set optim.steps has no effect, as this run ends after optim.minutes = {recipe.optim.minutes:g}; "
            "add --set optim.minutes=0"
        )
    return recipe


def _read_chain(path: Path, extending: tuple[Path, ...]) -> Table:
    """The content of a recipe over that of the recipes it extends; `extending` are the files that led to it."""
    chain = (*extending, path.resolve())
    if path.resolve() in extending:
        raise RecipeError(f"{extending[-1]}: extends {path}, which extends this recipe")
    if len(chain) > _LONGEST_CHAIN:
        raise RecipeError(f"{chain[0]}: more than {_LONGEST_CHAIN} recipes that extend each other")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error
    base = content.pop(_EXTENDS, None)
    content = _located(content, path.parent)
    if base is None:
        return content
    if not isinstance(base, str):
        raise RecipeError(f"{path}: '{_EXTENDS}' names one other recipe, not {base!r}")
    return _merged(_read_chain(path.parent / base, chain), content)


def _merged(base: Table, over: Mapping[str, Any]) -> Table:
    """Both tables in one; what both have is taken from the second one, tables being merged in turn."""
    merged = dict(base)
    for key, value in over.items():
        both_tables = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _merged(base[key], value) if both_tables else value
    return merged


def _located(content: Table, folder: Path) -> Table:
    """Paths of recordings relative to a recipe's folder become paths relative to the working directory."""
    data = content.get("data")
    if not isinstance(data, Mapping):
        return content
    found = {key: str(folder / data[key]) for key in _PATHS if data.get(key) and isinstance(data[key], str)}
    return {**content, "data": {**data, **found}}


def _parsed(override: str) -> Table:
    """``"table.key=value"`` as nested tables."""
    key, separator, text = override.partition("=")
    names = [name.strip() for name in key.split(".")]
    if not separator or not all(names):
        raise RecipeError(f"--set takes key=value, not '{override}'")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for name in reversed(names):
        value = {name: value}
    table: Table = value
    return table


def _validated(content: Table) -> Recipe:
    try:
        # JSON has TOML's kinds of values; from JSON, strict types take a list for a tuple and a table for a dataclass.
        return TypeAdapter(Recipe).validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        first, *others = error.errors()
        more = f" (and {len(others)} more)" if others else ""
        raise RecipeError(_described(first) + more) from error


def _described(error: ErrorDetails) -> str:
    """One line on what pydantic found, with the key."""
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "unexpected_keyword_argument":
        return f"unknown key '{key}'; known here: {', '.join(_keys(error['loc'][:-1]))}"
    if error["type"] == "dataclass_type":
        return f"'{key}' is a table, not {error['input']!r}"
    if error["type"] == "value_error":  # raised by our own checks, whose words say what was found
        return f"{key or 'recipe'}: {error['ctx']['error']}"
    found = "" if error["type"] == "missing" else f", not {error['input']!r}"
    return f"'{key}': {error['msg'][0].lower()}{error['msg'][1:]}{found}"


def _keys(tables: Sequence[str | int]) -> list[str]:
    """The keys of the table that lies at this place in a recipe."""
    kind: type = Recipe
    for table in tables:
        kind = get_type_hints(kind)[str(table)]
    return sorted(get_type_hints(kind))
