"""Batches and validation utterances from a recipe's data; all errors in the data are raised before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch

from imse.train import corpus as corpora
from imse.train.manifest import Split
from imse.train.mixing import Batch, Draw, Mixer, Pairs
from imse.train.recipe import Recipe
from imse.train.rooms import simulate
from imse.train.validation import Utterance, mix_utterances, pair_utterances


class BatchSource(Protocol):
    """What batches come from."""

    def batch(self, draw: Draw) -> Batch:
        """The segments of one step."""


def open_data(recipe: Recipe, split: Split, device: torch.device) -> tuple[BatchSource, list[Utterance]]:
    """Decode and check all data of a run.

    Args:
        recipe: The run.
        split: Its recordings, from `imse.train.manifest.split_data`.
        device: Where the corpus is kept and mixed.

    Returns:
        The source of training segments, and the held-out utterances.

    Raises:
        ImseError: A recording cannot be used; the message names the file.
    """
    data, samples = recipe.data, recipe.optim.segment_samples
    cache = Path(data.cache) if data.cache else None
    corpus = corpora.load(split.train, cache).to(device)
    held_out = corpora.load(split.held_out, cache)
    if not data.manifest:
        return Pairs(corpus, samples), pair_utterances(held_out, recipe.validation)
    rooms = None
    if recipe.mixing.room > 0:
        whole, early = simulate(recipe.mixing.rooms, recipe.seed)
        rooms = whole.to(device), early.to(device)
    taught = recipe.teacher.sources or None
    mixer = Mixer(corpus, recipe.mixing, samples, rooms, shares=data.speech_shares, taught=taught)
    return mixer, mix_utterances(held_out, recipe.validation, recipe.seed)
