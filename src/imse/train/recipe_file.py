"""Recipes as TOML files that may extend one another, with overrides from the command line."""

from __future__ import annotations

import json
import reprlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from imse.train.recipe import DataConfig, Recipe, RecipeError
from imse.train.text import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = dict[str, Any]

RUN_RECIPE = "recipe.json"
"""In the folder of a run: the recipe as it was run, with defaults and overrides."""

_EXTENDS = "extends"
_LONGEST_CHAIN = 8
_ROOT = "root"  # of the table `data`
_MOST_DOTS = 1_000  # in a line
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 80
_PATHS = ("manifest", "clean", "noisy")  # likewise


def read(path: str | Path, overrides: Sequence[str] = (), data: str | Path | None = None) -> Recipe:
    """Read a recipe and lay overrides over it.

    A recipe may name another one to start from, ``extends = "other.toml"``, relative to its own folder. Tables of both
    are merged key by key; of a key in both, the extending recipe's value counts. Paths of recordings start at
    ``data.root``, or else at the folder of the file that states them; those in overrides, at the working directory.
    Of ``optim.steps`` and ``optim.minutes``, the one that is stated last ends the run.

    Args:
        path: TOML file whose tables are the fields of `Recipe`, or the ``recipe.json`` of a run.
        overrides: ``"table.key=value"`` each, the value in TOML's notation (a bare word is a string).
        data: A folder, for ``data.root``, or a file, for ``data.manifest``.

    Raises:
        RecipeError: Not TOML, recipes that extend each other in a circle, an unknown key, a value of the wrong type or
            out of its range; the message names the key or the file.
        ImseError: A pipe or a device.
        OSError: A file cannot be read.
    """
    path = Path(path)
    with _flat_enough(path):
        given = _given(overrides, data)
        stated = _chain(path, ())
        root = _root(given) or next((str(s.folder / _root(s.content)) for s in stated if _root(s.content)), None)
        content: Table = {}
        for part in reversed(stated):
            content = _laid_over(content, _located(part.content, Path(root) if root else part.folder))
        return _validated(_laid_over(content, _located(given, Path())))


def read_run(folder: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read the recipe that a run has left in its folder, which may have been moved, and lay overrides over it.

    Raises:
        RecipeError: No such run, a damaged file, an unknown key or an unusable value.
        ImseError: A pipe or a device.
        OSError: A file cannot be read.
    """
    path = folder / RUN_RECIPE
    if not path.exists():
        raise RecipeError(f"{folder}: no run to resume; it has no {RUN_RECIPE}")
    with _flat_enough(path):
        given = _given(overrides)
        if _root(given):
            raise RecipeError(f"data.{_ROOT} has no effect on a run that is resumed: it goes on with its data")
        content = _merged(_loaded(json.loads, path), {"run": {"folder": str(folder)}})
        return _validated(_laid_over(content, _located(given, Path())))


def differences(one: Table, other: Table) -> list[str]:
    """The keys in which two recipes, as nested dicts, differ, as ``table.key``."""
    first, second = _leaves(one), _leaves(other)
    return sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))


def _leaves(content: Table, above: str = "") -> Table:
    leaves: Table = {}
    for key, value in content.items():
        leaves |= _leaves(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return leaves


@contextmanager
def _flat_enough(path: Path) -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise RecipeError(f"{path}: tables or lists nested too deeply") from None


def _given(overrides: Sequence[str], data: str | Path | None = None) -> Table:
    """What the command line states."""
    given: Table = {}
    for override in overrides:
        given = _merged(given, _parsed(override))
    if data is not None:
        given = _merged(given, {"data": {_ROOT if Path(data).is_dir() else "manifest": str(data)}})
    return given


class _Stated(NamedTuple):
    """What one file states, and its folder."""

    content: Table
    folder: Path


def _chain(path: Path, extending: tuple[Path, ...]) -> list[_Stated]:
    """The content of a recipe and of those that it extends; `extending` are the files that led to it."""
    chain = (*extending, path.resolve())
    if path.resolve() in extending:
        raise RecipeError(f"{extending[-1]}: extends {path}, which extends this recipe")
    if len(chain) > _LONGEST_CHAIN:
        raise RecipeError(f"{chain[0]}: more than {_LONGEST_CHAIN} recipes that extend each other")
    content = _loaded(_toml, path)
    base = content.pop(_EXTENDS, None)
    stated = _Stated(content, path.parent)
    if base is None:
        return [stated]
    if not isinstance(base, str) or "\0" in base:
        raise RecipeError(f"{path}: '{_EXTENDS}' names one other recipe, not {base!r}")
    return [stated, *_chain(path.parent / base, chain)]


def _toml(text: str) -> Table:
    # Of a dotted key, tomllib keeps all beginnings: 100,000 parts would take 40 GB.
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise RecursionError
    return tomllib.loads(text)


def _loaded(loads: Callable[[str], Any], path: Path) -> Table:
    try:
        content = loads(read_text(path))
    except ValueError as error:  # also for integers of thousands of digits
        raise RecipeError(f"{path}: not {'JSON' if loads is json.loads else 'TOML'}: {error}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: not a recipe")
    return content


def _merged(base: Table, over: Mapping[str, Any]) -> Table:
    """Both tables in one; what both have is taken from the second one, tables being merged in turn."""
    merged = dict(base)
    for key, value in over.items():
        both_tables = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _merged(base[key], value) if both_tables else value
    return merged


def _data(content: Table) -> Mapping[str, Any]:
    data = content.get("data")
    return data if isinstance(data, Mapping) else {}


def _root(content: Table) -> str:
    root = _data(content).get(_ROOT, "")
    if not isinstance(root, str):
        raise RecipeError(f"'data.{_ROOT}' names a folder, not {root!r}")
    return root


def _located(content: Table, folder: Path) -> Table:
    """With paths of recordings relative to the working directory instead of `folder`."""
    data = _data(content)
    if not data:
        return content
    found = {key: str(folder / data[key]) for key in _PATHS if data.get(key) and isinstance(data[key], str)}
    return {**content, "data": {key: value for key, value in {**data, **found}.items() if key != _ROOT}}


def _laid_over(base: Table, over: Table) -> Table:
    """As `_merged`; steps that are stated take the place of the base's minutes."""
    ours, theirs = over.get("optim"), base.get("optim")
    if isinstance(ours, Mapping) and "steps" in ours:
        if ours.get("minutes"):
            raise RecipeError("optim.steps has no effect beside optim.minutes: state one of them")
        if isinstance(theirs, Mapping):
            base = {**base, "optim": {**theirs, "minutes": 0.0}}
    return _merged(base, over)


def _parsed(override: str) -> Table:
    """``"table.key=value"`` as nested tables."""
    key, separator, text = override.partition("=")
    names = [name.strip() for name in key.split(".")]
    if not separator or not all(names):
        raise RecipeError(f"--set takes key=value, not '{override}'")
    try:
        value = _toml(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()
    for name in reversed(names):
        value = {name: value}
    table: Table = value
    return table


def _validated(content: Table) -> Recipe:
    try:
        # JSON has TOML's kinds of values; from JSON, strict types take a list for a tuple and a table for a dataclass.
        text = json.dumps(content, default=str)
    except ValueError as error:
        raise RecipeError("a number of thousands of digits") from error
    try:
        return TypeAdapter(Recipe).validate_json(text)
    except ValidationError as error:
        first, *others = error.errors()
        more = f" (and {len(others)} more)" if others else ""
        raise RecipeError(_described(first) + more) from error


def _described(error: ErrorDetails) -> str:
    """One line on what pydantic found, with the key."""
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "unexpected_keyword_argument":
        return f"unknown key '{key}'; known here: {', '.join(_keys(error['loc'][:-1]))}"
    if error["type"] == "json_invalid":  # text that is not UTF-8, or deep nesting
        return f"recipe: {error['msg']}"
    if error["type"] == "dataclass_type":
        return f"'{key}' is a table, not {_SHORT.repr(error['input'])}"
    if error["type"] == "value_error":  # raised by our own checks, whose words say what was found
        return f"{key or 'recipe'}: {error['ctx']['error']}"
    found = "" if error["type"] == "missing" else f", not {_SHORT.repr(error['input'])}"
    return f"'{key}': {error['msg'][0].lower()}{error['msg'][1:]}{found}"


def _keys(tables: Sequence[str | int]) -> list[str]:
    """The keys of the table that lies at this place in a recipe."""
    kind: type = Recipe
    for table in tables:
        kind = get_type_hints(kind)[str(table)]
    return sorted([*get_type_hints(kind), *([_ROOT] if kind is DataConfig else [])])
