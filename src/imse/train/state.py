"""Checkpoints from which training resumes bit for bit."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import torch

from imse.atomic_write import atomic_write
from imse.train.check import LAST, ResumeError
from imse.train.recipe import Recipe
from imse.train.recipe_file import differences

_DECISIVE = ("seed", "network", "data", "mixing", "loss", "teacher", "optim")
# What may change between the parts of a run: where it is computed, and how long it goes on.
_FREE = frozenset({"data.cache", "loss.pesq_workers", "optim.compile", "optim.minutes", "optim.steps"})


def save(state: dict[str, Any], folder: Path) -> None:
    """Write the state of a run, whole or not at all: a run killed here still has its previous checkpoint."""
    with atomic_write(folder / LAST) as file:
        torch.save(state, file)


def load(folder: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    """Read the state of a run.

    Args:
        folder: Run folder.
        recipe: The recipe to go on with, as nested dicts; what decides the weights must be the same.

    Raises:
        ResumeError: There is no checkpoint, it is damaged, or it belongs to another recipe.
    """
    path = folder / LAST
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise ResumeError(f"{path}: damaged") from error
    # What a recipe did not have yet when the checkpoint was made has its default.
    before = _filled(dataclasses.asdict(Recipe()), state["recipe"])
    decisive = (key for key in differences(before, recipe) if key.partition(".")[0] in _DECISIVE)
    changed = [key for key in decisive if key not in _FREE]
    if changed:
        raise ResumeError(f"{path}: made with another recipe, which differs in {', '.join(changed)}")
    return state


def _filled(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A recipe and its tables with defaults for absent keys."""
    tables = {key: {**defaults.get(key, {}), **table} for key, table in given.items() if isinstance(table, dict)}
    return {**defaults, **given, **tables}
