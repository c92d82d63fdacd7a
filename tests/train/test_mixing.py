"""Mixtures: the same for the same seed and step, at the level and ratio asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from imse.train.augment import Colour, clip_peaks, convolve, mu_law
from imse.train.corpus import Corpus, load
from imse.train.manifest import split_manifest
from imse.train.mixing import Batch, Draw, Mixer, Pairs
from imse.train.recipe import MixingConfig, Recipe
from imse.train.rooms import simulate
from imse.train.validation import mix_utterances

SAMPLES = 8_000
EVERYTHING = MixingConfig(
    babble=0.5, colour=0.5, band_limit=0.5, room=0.5, clipping=0.5, codec=0.5, pure_noise=0.2, pure_speech=0.2
)
PLAIN = MixingConfig(second_noise=0, babble=0, colour=0, pure_speech=0)


@pytest.fixture(scope="module")
def rooms() -> tuple[torch.Tensor, torch.Tensor]:
    return simulate(2, seed=0)


@pytest.fixture
def corpus(recipe: Recipe) -> Corpus:
    return load(split_manifest(recipe.data).train)


def whole(step: int, size: int = 8, seed: int = 0) -> Draw:
    return Draw(seed, step, size, slice(0, size))


def equal(first: Batch, second: Batch) -> bool:
    return torch.equal(first.noisy, second.noisy) and torch.equal(first.clean, second.clean)


def test_a_batch_depends_on_seed_and_step_alone(corpus: Corpus, rooms: tuple[torch.Tensor, torch.Tensor]) -> None:
    first, second = (Mixer(corpus, EVERYTHING, SAMPLES, rooms) for _ in range(2))
    second.batch(whole(4))  # what was mixed before does not matter
    batch = first.batch(whole(7))
    assert equal(batch, second.batch(whole(7)))
    assert not equal(batch, first.batch(whole(8)))
    assert not equal(batch, first.batch(whole(7, seed=1)))
    assert batch.noisy.isfinite().all()


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_batch_of_one(
    corpus: Corpus, rooms: tuple[torch.Tensor, torch.Tensor], processes: int
) -> None:
    mixer = Mixer(corpus, EVERYTHING, SAMPLES, rooms)
    together = mixer.batch(whole(5))
    share = 8 // processes
    parts = [mixer.batch(Draw(0, 5, 8, slice(r * share, (r + 1) * share))) for r in range(processes)]
    torch.testing.assert_close(torch.cat([part.noisy for part in parts]), together.noisy)
    torch.testing.assert_close(torch.cat([part.clean for part in parts]), together.clean)


@pytest.mark.parametrize("snr_db", [-5.0, 10.0])
def test_noise_has_the_ratio_asked_for_to_active_speech(corpus: Corpus, snr_db: float) -> None:
    # Segments as long as the shortest voice hold as much pause as the whole, so that their level can be told.
    mixer = Mixer(corpus, replace(PLAIN, snr_db=(snr_db, snr_db)), 16_000)
    batch = mixer.batch(whole(0, size=16))
    noise = (batch.noisy - batch.clean).square().mean(-1)
    frames = batch.clean.unfold(-1, 320, 320).square().mean(-1)
    active = frames > frames.amax(-1, keepdim=True) * 1e-4
    speech = (frames * active).sum(-1) / active.sum(-1)
    measured = 10 * torch.log10(speech / noise)
    assert measured.tolist() == pytest.approx([snr_db] * 16, abs=1.5)


def test_input_has_about_unit_power_and_keeps_the_target_s_scale(corpus: Corpus) -> None:
    batch = Mixer(corpus, PLAIN, 16_000).batch(whole(0, size=16))
    assert batch.noisy.square().mean().item() == pytest.approx(1, rel=0.2)


def test_pure_speech_and_pure_noise(corpus: Corpus) -> None:
    speech = Mixer(corpus, replace(PLAIN, pure_speech=1), SAMPLES).batch(whole(0))
    assert torch.equal(speech.noisy, speech.clean)
    noise = Mixer(corpus, replace(PLAIN, pure_noise=1), SAMPLES).batch(whole(0))
    assert not noise.clean.any()
    assert noise.noisy.square().mean(-1).tolist() == pytest.approx([1.0] * 8, rel=1e-3)


def test_pairs_are_cut_together_and_scaled_by_the_noisy_one(corpus: Corpus) -> None:
    speech = [i for i, recording in enumerate(corpus.recordings) if recording.kind == "speech"][:2]
    # The same recording as clean and noisy: their segments must be equal, and the whole has unit power.
    twice = replace(
        corpus,
        starts=corpus.starts[speech].repeat_interleave(2),
        lengths=corpus.lengths[speech].repeat_interleave(2),
        rms=corpus.rms[speech].repeat_interleave(2),
        recordings=tuple(corpus.recordings[i] for i in speech for _ in range(2)),
    )
    batch = Pairs(twice, 48_000).batch(whole(0))
    assert torch.equal(batch.noisy, batch.clean)
    lengths = (batch.noisy.abs().flip(-1).cumsum(-1) > 0).sum(-1)  # up to the silence that pads
    power = batch.noisy.square().sum(-1) / lengths
    assert power.tolist() == pytest.approx([1.0] * 8, rel=0.2)


def test_cutting_pads_with_silence(corpus: Corpus) -> None:
    length = int(corpus.lengths[0])
    cut = corpus.cut(torch.tensor([0, 0]), torch.tensor([-100, length - 50]), 200)
    samples = torch.from_numpy(corpus.whole(0))
    torch.testing.assert_close(cut[0], torch.cat([torch.zeros(100), samples[:100]]))
    torch.testing.assert_close(cut[1], torch.cat([samples[-50:], torch.zeros(150)]))


def test_validation_utterances_are_the_same_every_time(recipe: Recipe) -> None:
    corpus = load(split_manifest(recipe.data).held_out)
    first, second = (mix_utterances(corpus, recipe.validation, seed=1) for _ in range(2))
    assert len(first) == 2
    for one, other in zip(first, second, strict=True):
        assert (one.noisy == other.noisy).all()
        assert one.clean.shape == one.noisy.shape


def test_colour_is_flat_at_zero_and_has_its_gain_at_an_octave() -> None:
    colour = Colour(SAMPLES, torch.device("cpu"))
    time = torch.arange(SAMPLES) / 16_000
    tone = torch.sin(2 * torch.pi * 1_000 * time).unsqueeze(0)  # 1 kHz is the fifth octave from 62.5 Hz
    gain = torch.zeros(1, Colour.points)
    none = torch.tensor([torch.inf])
    torch.testing.assert_close(colour(tone, gain, none), tone, atol=1e-5, rtol=0)
    gain[0, 4] = 6.0
    torch.testing.assert_close(colour(tone, gain, none), tone * 10 ** (6 / 20), atol=5e-4, rtol=0)
    assert colour(tone, gain, torch.tensor([300.0])).abs().max() < 3e-3


def test_damage() -> None:
    wave = torch.tensor([[0.5, -1.0, 0.1]])
    assert clip_peaks(wave, torch.tensor([[0.4]])).tolist()[0] == pytest.approx([0.4, -0.4, 0.1])
    ramp = torch.linspace(-1, 1, 1_001)
    assert len(set(mu_law(ramp).tolist())) <= 256
    assert (mu_law(ramp) - ramp).abs().max() < 0.03


def test_rooms_keep_the_direct_sound_and_its_time(rooms: tuple[torch.Tensor, torch.Tensor]) -> None:
    whole_response, early = rooms
    assert (whole_response[:, 0] == 1).all()
    assert torch.equal(early[:, :800], whole_response[:, :800])
    assert not early[:, 800:].any()
    impulse = torch.zeros(2, 400)
    impulse[:, 100] = 1
    torch.testing.assert_close(convolve(impulse, whole_response)[:, 100:], whole_response[:, :300], atol=1e-5, rtol=0)
