"""The ablation's recipes: the four combinations, and nothing else between them."""

from __future__ import annotations

import re
from pathlib import Path

from imse.nn.parts import ATTENTIONS, EMBEDDINGS

RECIPES = sorted((Path(__file__).parents[1] / "recipes" / "ablation").glob("*.toml"))


def test_every_combination_with_the_same_budget() -> None:
    combinations, rest = set(), set()
    for recipe in RECIPES:
        text = recipe.read_text()
        parts = re.findall(r'^(?:attention|embedding) = "(\w+)"$', text, flags=re.MULTILINE)
        combinations.add(tuple(parts))
        assert f'name = "{recipe.stem}"' in text
        assert f'folder = "runs/ablation/{recipe.stem}"' in text
        rest.add(re.sub(r"^(#|name|folder|attention|embedding).*\n", "", text, flags=re.MULTILINE))
    assert combinations == {(attention, embedding) for attention in ATTENTIONS for embedding in EMBEDDINGS}
    assert len(rest) == 1
