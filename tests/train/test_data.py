"""Splits, and errors in data: they are raised before step 1 and name the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from imse.train.corpus import load
from imse.train.data import open_data
from imse.train.manifest import DataError, split_data, split_manifest, split_pairs
from imse.train.mixing import Draw
from imse.train.recipe import DataConfig, Recipe, RecipeError
from imse.train.recipe_file import read

CPU = torch.device("cpu")
RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def pairs(folder: Path, speakers: tuple[str, ...] = ("ann", "bob"), samples: int = 8_000) -> DataConfig:
    draw = np.random.default_rng(0)
    for kind in ("clean", "noisy"):
        (folder / kind).mkdir(parents=True)
        for speaker in speakers:
            for take in range(2):
                soundfile.write(folder / kind / f"{speaker}_{take}.flac", 0.1 * draw.standard_normal(samples), 16_000)
    return DataConfig(clean=str(folder / "clean"), noisy=str(folder / "noisy"), held_out_speakers=("bob",))


def test_held_out_speakers_and_noises_are_in_no_training(recipe: Recipe) -> None:
    split = split_manifest(recipe.data)
    assert {r.label for r in split.held_out} == {"eve", "street"}
    assert {r.label for r in split.train} == {"ann", "bob", "fan", "rain"}


@pytest.mark.parametrize("name", ["default", "small"])
def test_the_recipes_of_the_default_corpus_share_nothing_with_their_validation(data: Path, name: str) -> None:
    config = replace(read(RECIPES / f"{name}.toml").data, manifest=str(data / "train" / "MANIFEST.tsv"))
    split = split_manifest(config)
    for kind in ("speech", "noise"):
        train, held_out = ({r.label for r in part if r.kind == kind} for part in (split.train, split.held_out))
        assert held_out
        assert not train & held_out
    assert not {r.path for r in split.train} & {r.path for r in split.held_out}


@pytest.mark.parametrize(
    ("speakers", "noises", "skipped", "named"),
    [
        (("zoe",), ("street",), (), "zoe"),
        (("eve",), ("rane",), (), "rane"),
        (("eve",), ("street",), ("books",), "books"),
        (("eve",), (), (), "no noise is left for validation"),
        (("ann", "bob", "eve"), ("street",), (), "no speech is left for training"),
    ],
)
def test_a_wrong_split_is_an_error(
    recipe: Recipe, speakers: tuple[str, ...], noises: tuple[str, ...], skipped: tuple[str, ...], named: str
) -> None:
    data = replace(recipe.data, held_out_speakers=speakers, held_out_noises=noises, skip_sources=skipped)
    with pytest.raises(DataError, match=named):
        split_manifest(data)


def test_manifest_errors_name_the_line_and_the_file(tmp_path: Path) -> None:
    manifest = tmp_path / "M.tsv"
    manifest.write_text("file\tkind\tsource\tseconds\n")
    with pytest.raises(DataError, match="speaker_or_type"):
        split_manifest(DataConfig(manifest=str(manifest)))
    manifest.write_text("file\tkind\tsource\tspeaker_or_type\tseconds\na.wav\tmusic\tx\ty\t1\n")
    with pytest.raises(DataError, match=r"M\.tsv:2: .*music"):
        split_manifest(DataConfig(manifest=str(manifest)))
    manifest.write_text("file\tkind\tsource\tspeaker_or_type\tseconds\na.wav\tnoise\tx\ty\t1\n")
    with pytest.raises(DataError, match=r"a\.wav: no such file"):
        split_manifest(DataConfig(manifest=str(manifest)))


def test_a_corrupt_file_is_named(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "bad.flac"
    path.write_bytes(b"fLaC" + bytes(100))
    recording = replace(split_manifest(recipe.data).train[0], path=path)
    with pytest.raises(DataError, match=r"bad\.flac: not audio"):
        load([recording])
    soundfile.write(path, np.zeros(1_000), 16_000)
    with pytest.raises(DataError, match=r"bad\.flac: silent"):
        load([recording])
    soundfile.write(path, np.ones(1_000) / 2, 8_000)
    with pytest.raises(DataError, match=r"bad\.flac: 8000 Hz"):
        load([recording])


def test_pairs_are_matched_by_name(tmp_path: Path) -> None:
    config = pairs(tmp_path)
    split = split_pairs(config)
    assert {r.label for r in split.train} == {"ann"}
    assert [r.kind for r in split.held_out] == ["speech", "noisy"] * 2
    assert [r.path.name for r in split.held_out] == ["bob_0.flac", "bob_0.flac", "bob_1.flac", "bob_1.flac"]


def test_pairs_make_batches_and_utterances(recipe: Recipe, tmp_path: Path) -> None:
    paired = replace(recipe, data=pairs(tmp_path))
    source, utterances = open_data(paired, split_data(paired), CPU)
    batch = source.batch(Draw(0, 0, 3, slice(0, 3)))
    assert batch.noisy.shape == batch.clean.shape == (3, recipe.optim.segment_samples)
    assert [len(utterance.noisy) for utterance in utterances] == [8_000, 8_000]


def test_pair_errors_name_the_file(tmp_path: Path) -> None:
    config = pairs(tmp_path)
    with pytest.raises(DataError, match="zoe"):
        split_pairs(replace(config, held_out_speakers=("zoe",)))
    with pytest.raises(DataError, match="nowhere: no such folder"):
        split_pairs(replace(config, noisy=str(tmp_path / "nowhere")))
    soundfile.write(tmp_path / "noisy" / "ann_1.flac", np.ones(7_999) / 2, 16_000)
    with pytest.raises(DataError, match=r"noisy.ann_1\.flac: 7999 samples"):
        split_pairs(config)
    soundfile.write(tmp_path / "noisy" / "ann_1.flac", np.ones(8_000) / 2, 48_000)
    with pytest.raises(DataError, match=r"noisy.ann_1\.flac: 48000 Hz"):
        split_pairs(config)
    (tmp_path / "noisy" / "ann_1.flac").unlink()
    with pytest.raises(DataError, match=r"clean.ann_1\.flac: no counterpart"):
        split_pairs(config)


@pytest.mark.parametrize(
    "data", [DataConfig(), DataConfig(clean="somewhere"), DataConfig(clean="a", noisy="b", manifest="c")]
)
def test_a_recipe_has_pairs_or_a_manifest(recipe: Recipe, data: DataConfig) -> None:
    with pytest.raises(RecipeError, match=r"data\.clean"):
        split_data(replace(recipe, data=data))


def test_a_kept_corpus_is_the_decoded_one(recipe: Recipe, tmp_path: Path) -> None:
    recordings = split_manifest(recipe.data).train
    fresh, kept, again = load(recordings), load(recordings, tmp_path), load(recordings, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    for corpus in (kept, again):
        for name in ("samples", "starts", "lengths", "rms", "active_rms"):
            assert torch.equal(getattr(corpus, name), getattr(fresh, name))
