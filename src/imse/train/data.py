"""Batches and validation utterances from a recipe's data; all errors in the data are raised before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch

from imse.train import corpus as corpora
from imse.train.manifest import split_manifest, split_pairs
from imse.train.mixing import Batch, Draw, Mixer, Pairs
from imse.train.recipe import Recipe, RecipeError
from imse.train.rooms import simulate
from imse.train.validation import Utterance, mix_utterances, pair_utterances


class BatchSource(Protocol):
    """What batches come from."""

    def batch(self, draw: Draw) -> Batch:
        """The segments of one step."""


def open_data(recipe: Recipe, device: torch.device) -> tuple[BatchSource, list[Utterance]]:
    """Decode and check all data of a run.

    Args:
        recipe: The run.
        device: Where the corpus is kept and mixed.

    Returns:
        The source of training segments, and the held-out utterances.

    Raises:
        ImseError: The data cannot be used; the message names the key or the file.
        OSError: A manifest cannot be read.
    """
    data, samples = recipe.data, recipe.optim.segment_samples
    paired = bool(data.clean or data.noisy)
    if paired == bool(data.manifest):
        raise RecipeError("a recipe needs either data.manifest, or data.clean and data.noisy")
    if paired and not (data.clean and data.noisy):
        raise RecipeError("pairs need both data.clean and data.noisy")
    taught = recipe.teacher.sources
    if paired and taught:
        raise RecipeError("teacher.sources: pairs have no sources; leave it out and the teacher teaches all of them")
    cache = Path(data.cache) if data.cache else None
    split = split_pairs(data) if paired else split_manifest(data)
    unknown = sorted(set(taught) - {recording.source for recording in split.train if recording.kind == "speech"})
    if unknown:
        raise RecipeError(f"teacher.sources: no speech to train on is from '{unknown[0]}' in {data.manifest}")
    corpus = corpora.load(split.train, cache).to(device)
    held_out = corpora.load(split.held_out, cache)
    if paired:
        return Pairs(corpus, samples), pair_utterances(held_out, recipe.validation)
    rooms = None
    if recipe.mixing.room > 0:
        whole, early = simulate(recipe.mixing.rooms, recipe.seed)
        rooms = whole.to(device), early.to(device)
    mixer = Mixer(corpus, recipe.mixing, samples, rooms, shares=data.speech_shares, taught=taught or None)
    return mixer, mix_utterances(held_out, recipe.validation, recipe.seed)
