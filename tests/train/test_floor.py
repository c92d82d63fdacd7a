"""The noise floor of a recording is removed, the speech is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imse.signal.spectrum import Floats
from imse.train.corpus import load
from imse.train.floor import remove_floor
from imse.train.manifest import DataError, split_manifest
from imse.train.recipe import Recipe
from train.conftest import RATE, voice

SECONDS = 4.0


@pytest.fixture
def clean() -> Floats:
    return voice(120, SECONDS)


@pytest.fixture
def floor(clean: Floats) -> Floats:
    """White noise 40 dB below the speech."""
    noise: Floats = np.random.default_rng(0).standard_normal(len(clean), np.float32)
    return noise * np.float32(clean.std() / 100)


def level_db(waveform: Floats, reference: Floats) -> float:
    return float(10 * np.log10(np.mean(waveform**2) / np.mean(reference**2)))


def pauses(length: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The second half of each half second, but for 30 ms, a window of the transform, at both ends."""
    place = np.arange(length) / RATE % 0.5
    return (place > 0.28) & (place < 0.47)


def test_pauses_become_quieter_and_speech_stays(clean: Floats, floor: Floats) -> None:
    lowered = remove_floor(clean + floor)
    assert lowered.shape == clean.shape
    silent = pauses(len(clean))
    assert level_db(lowered[silent], floor[silent]) < -9
    # The speech differs from the clean speech by less than the floor did.
    assert level_db((lowered - clean)[~silent], floor[~silent]) < 0


def test_the_level_does_not_matter(clean: Floats, floor: Floats) -> None:
    lowered = remove_floor(clean + floor)
    loud = remove_floor((clean + floor) * np.float32(20_000))
    np.testing.assert_allclose(loud / 20_000, lowered, atol=1e-6)


def test_a_recording_without_a_floor_is_left_as_it_is(clean: Floats) -> None:
    np.testing.assert_allclose(remove_floor(clean), clean, atol=1e-5)
    assert not remove_floor(np.zeros(2_000, np.float32)).any()


@pytest.mark.parametrize("samples", [1, 99, 600])
def test_short_recordings_keep_their_length(samples: int) -> None:
    lowered = remove_floor(voice(120, 1.0)[1_000 : 1_000 + samples])
    assert lowered.shape == (samples,)
    assert np.isfinite(lowered).all()


def test_sources_named_in_the_recipe_are_used_without_their_floor(recipe: Recipe, tmp_path: Path) -> None:
    config = replace(recipe.data, denoised_sources=("voices",))
    plain, denoised = split_manifest(recipe.data).train, split_manifest(config).train
    assert {r.kind for r in denoised if r.denoised} == {"speech"}
    assert {r.kind for r in denoised if not r.denoised} == {"noise"}
    assert not any(r.denoised for r in plain)
    kept, lowered = load(plain, tmp_path), load(denoised, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # the cache tells them apart
    for number, recording in enumerate(denoised):
        expected = kept.whole(number)
        if recording.denoised:
            expected = remove_floor(expected)
        np.testing.assert_allclose(lowered.whole(number), expected, atol=1 / 32_768)
    with pytest.raises(DataError, match=r"data\.denoised_sources: 'noises'"):
        split_manifest(replace(config, denoised_sources=("noises",)))
