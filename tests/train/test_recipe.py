"""Recipes: every key is known and of its type, and those that are checked in can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from imse.train.recipe import RecipeError
from imse.train.recipe_file import read

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "mine"\n[data]\nmanifest = "corpus/M.tsv"\n[optim]\nlr = 1e-3\n[mixing]\nsnr_db = [0, 10]\n'
    )
    return path


def test_values_defaults_and_paths(path: Path) -> None:
    recipe = read(path)
    assert (recipe.name, recipe.optim.lr, recipe.mixing.snr_db) == ("mine", 1e-3, (0.0, 10.0))
    assert recipe.loss.magnitude == 0.9
    assert recipe.data.manifest == str(path.parent / "corpus/M.tsv")


def test_overrides_go_over_the_file(path: Path) -> None:
    recipe = read(path, ["optim.lr=0.1", "name=other", "network.channels=8", 'data.held_out_noises=["rain"]'])
    assert (recipe.optim.lr, recipe.name, recipe.network.channels) == (0.1, "other", 8)
    assert recipe.data.held_out_noises == ("rain",)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("optim.learning_rate=1", "optim.learning_rate"),
        ("speed=1", "speed"),
        ("optim.steps=1.5", "optim.steps"),
        ("optim.steps=0", "steps"),
        ("optim.compile=1", "optim.compile"),
        ("optim.schedule=linear", "linear"),
        ("optim.betas=[0.9]", "optim.betas"),
        ("mixing.snr_db=3", "mixing.snr_db"),
        ("network.channels=12", "channels"),
        ("network=3", "network"),
        ("name.first=x", "name"),
        ("optim.lr", "optim.lr"),
    ],
)
def test_a_bad_key_or_value_is_named(path: Path, override: str, named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        read(path, [override])


def test_what_is_not_toml_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("steps: 3\n")
    with pytest.raises(RecipeError, match="not TOML"):
        read(path)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_checked_in_can_be_read(path: Path) -> None:
    assert read(path).name == path.stem
