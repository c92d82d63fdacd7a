"""A corpus of synthetic voices and noises, and a recipe small enough for a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from imse.nn import NetworkConfig
from imse.train.recipe import DataConfig, LossConfig, MixingConfig, OptimConfig, Recipe, RunConfig, ValidationConfig

RATE = 16_000


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: more do not help with small tensors, and slow tests down on a shared machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def voice(pitch: float, seconds: float) -> NDArray[np.float32]:
    """Harmonics in syllables of a quarter of a second with pauses between them."""
    time = np.arange(int(seconds * RATE)) / RATE
    harmonics = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 2 * time), 0, 1)
    return (0.1 * harmonics * syllables).astype(np.float32)


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three voices and three noises, two recordings of each, in a manifest."""
    folder = tmp_path_factory.mktemp("corpus")
    draw = np.random.default_rng(0)
    rows = ["file\tkind\tsource\tspeaker_or_type\tseconds"]
    for number, label in enumerate(("ann", "bob", "eve")):
        for take in range(2):
            soundfile.write(folder / f"{label}{take}.flac", voice(100 + 40 * number, 2.0 + take), RATE)
            rows.append(f"{label}{take}.flac\tspeech\tvoices\t{label}\t{2.0 + take}")
    for number, label in enumerate(("fan", "rain", "street")):
        for take in range(2):
            noise = 0.02 * (number + 1) * draw.standard_normal(int(1.5 * RATE))
            soundfile.write(folder / f"{label}{take}.flac", noise, RATE)
            rows.append(f"{label}{take}.flac\tnoise\tnoises\t{label}\t1.5")
    path = folder / "MANIFEST.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def recipe(manifest: Path, tmp_path: Path) -> Recipe:
    """A run of four steps of the smallest network."""
    return Recipe(
        seed=3,
        network=NetworkConfig(channels=8, blocks=1),
        data=DataConfig(manifest=str(manifest), held_out_speakers=("eve",), held_out_noises=("street",)),
        mixing=MixingConfig(),
        loss=LossConfig(metric=0.0),
        optim=OptimConfig(
            steps=4, batch_size=2, segment_samples=4_000, schedule="cosine", warmup_steps=2, clip_norm=5.0, ema=0.9
        ),
        validation=ValidationConfig(interval=0, utterances=2, workers=1, samples=1),
        run=RunConfig(folder=str(tmp_path / "run"), accelerator="cpu", log_interval=1),
    )


@pytest.fixture
def adversarial(recipe: Recipe) -> Recipe:
    """The same with the discriminator."""
    segment = replace(recipe.optim, segment_samples=8_000)
    return replace(recipe, loss=LossConfig(perceptual=0.1, consistency=0.1, pesq_workers=1), optim=segment)
