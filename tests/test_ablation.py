"""The ablation's recipes: the four combinations, and nothing else between them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from imse.nn.parts import ATTENTIONS, EMBEDDINGS
from imse.train.recipe import Recipe
from imse.train.recipe_file import read

RECIPES = sorted((Path(__file__).parents[1] / "recipes" / "ablation").glob("*.toml"))


def without_parts(recipe: Recipe) -> Recipe:
    """The recipe without what tells the four apart."""
    network = dataclasses.replace(recipe.network, attention="mala", embedding="idconv")
    return dataclasses.replace(recipe, name="", network=network, run=dataclasses.replace(recipe.run, folder="runs"))


def test_every_combination_with_the_same_budget() -> None:
    recipes = {path.stem: read(path) for path in RECIPES}
    for name, recipe in recipes.items():
        assert (recipe.name, recipe.run.folder) == (name, f"runs/ablation/{name}")
    combinations = {(recipe.network.attention, recipe.network.embedding) for recipe in recipes.values()}
    assert combinations == {(attention, embedding) for attention in ATTENTIONS for embedding in EMBEDDINGS}
    first, *others = (without_parts(recipe) for recipe in recipes.values())
    assert all(other == first for other in others)
