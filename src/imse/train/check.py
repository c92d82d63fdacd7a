"""What can be wrong with a run before anything is computed, found without torch, which takes seconds to import."""

from __future__ import annotations

from pathlib import Path

from imse.atomic_write import require_writable
from imse.errors import ImseError
from imse.train.manifest import Split, split_data
from imse.train.recipe import Recipe
from imse.train.recipe_file import RUN_RECIPE
from imse.weights import find

LAST = "last.ckpt"
"""In the folder of a run: its last checkpoint."""


class ResumeError(ImseError, ValueError):
    """A run that cannot be continued; the message says why."""


def check(recipe: Recipe, *, resume: bool = False) -> Split:
    """Check the folder of a run, the weights that it names, and its data, as far as their headers tell.

    Args:
        recipe: The run.
        resume: Whether to go on from the last checkpoint in its folder.

    Returns:
        The recordings of the run.

    Raises:
        ImseError: Something is missing or cannot be used; the message names the key or the file.
        OSError: A file or a folder cannot be read or written.
    """
    folder = Path(recipe.run.folder)
    last = folder / LAST
    if resume and not last.is_file():
        raise ResumeError(f"{last}: no such checkpoint to resume from")
    if not resume and last.exists():
        raise ResumeError(
            f"{folder}: holds a run already; 'imse train {folder} --resume' goes on with it, "
            "--set run.folder=... leaves it alone"
        )
    for written in (folder / RUN_RECIPE, *([Path(recipe.data.cache) / "corpus"] if recipe.data.cache else [])):
        require_writable(written)
    for weights in filter(None, (recipe.run.start_from, recipe.teacher.weights)):
        find(weights, ".safetensors")
    return split_data(recipe)
