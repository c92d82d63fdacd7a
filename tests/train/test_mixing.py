"""Mixtures: the same for the same seed and step, at the level and ratio asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from imse.train.augment import Colour, clip_peaks, convolve, mu_law
from imse.train.corpus import Corpus, load
from imse.train.manifest import split_manifest
from imse.train.mixing import Batch, Draw, Mixer, Pairs
from imse.train.recipe import MixingConfig, Recipe, RecipeError
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


def test_batches_are_those_that_were_recorded(corpus: Corpus) -> None:
    """The draws and their order: with others, a recipe and its seed would train another network."""
    response = 0.5 ** (torch.arange(2_000) / torch.tensor([[5.0], [20.0]]))
    rooms = response, response * (torch.arange(2_000) < 50)
    config = replace(EVERYTHING, clipping=0.2, codec=0.2, room=0.4, level_offset=0.5, shortest_segment=4_000)
    batch = Mixer(corpus, config, SAMPLES, rooms).batch(whole(3))
    assert batch.noisy.shape == (8, 4_343)
    noisy, clean = (signal.square().mean(-1).sqrt().tolist() for signal in (batch.noisy, batch.clean))
    recorded = [1.0354, 0.4871, 1.0102, 1.0433, 7.2233, 1.4176, 1.0724, 0.4652]
    assert noisy == pytest.approx(recorded, abs=1e-3)
    assert clean == pytest.approx([0.4591, 0.8630, 0, 0.9315, 8.3617, 0, 1.0617, 0.6553], abs=1e-3)
    assert batch.taught.nonzero().flatten().tolist() == [3, 6]


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


# Recordings of the training split by source: 2 s of "a", 3 s of "b", 5 s of "c".
SOURCES = {"ann0": "a", "ann1": "b", "bob0": "c", "bob1": "c"}


@pytest.fixture
def sources(corpus: Corpus) -> Corpus:
    recordings = (replace(r, source=SOURCES.get(r.path.stem, "noises")) for r in corpus.recordings)
    return replace(corpus, recordings=tuple(recordings))


def drawn(corpus: Corpus, shares: dict[str, float], source: str) -> float:
    """Share of 4,000 segments whose speech is from a source: those that a teacher of that source alone would teach."""
    batch = Mixer(corpus, PLAIN, 512, shares=shares, taught={source}).batch(whole(0, size=4_000))
    return float(batch.taught.float().mean())


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({}, {"a": 0.2, "b": 0.3, "c": 0.5}),
        ({"a": 0.5}, {"a": 0.5, "b": 0.5 * 3 / 8, "c": 0.5 * 5 / 8}),
        ({"c": 0.0}, {"a": 2 / 5, "b": 3 / 5, "c": 0.0}),
        ({"a": 0.4, "b": 0.6}, {"a": 0.4, "b": 0.6, "c": 0.0}),
        ({"a": 0.1, "b": 0.1, "c": 0.8}, {"a": 0.1, "b": 0.1, "c": 0.8}),
    ],
)
def test_speech_is_drawn_by_seconds_or_by_shares(
    sources: Corpus, shares: dict[str, float], expected: dict[str, float]
) -> None:
    # Four standard deviations of the most uncertain share are 0.03.
    assert {source: drawn(sources, shares, source) for source in expected} == pytest.approx(expected, abs=0.03)
    assert sum(drawn(sources, shares, source) for source in expected) == pytest.approx(1)


@pytest.mark.parametrize("shares", [{"a": 0.7, "b": 0.4}, {"a": 0.1, "b": 0.1, "c": 0.7}, {"a": -0.1}])
def test_impossible_shares_are_an_error(sources: Corpus, shares: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=r"data\.speech_shares"):
        Mixer(sources, PLAIN, 512, shares=shares)


def test_segments_of_a_step_have_one_length_in_all_processes(corpus: Corpus) -> None:
    mixer = Mixer(corpus, replace(PLAIN, shortest_segment=1_000), SAMPLES)
    lengths = []
    for step in range(60):
        first, second = (mixer.batch(Draw(0, step, 4, slice(start, start + 2))) for start in (0, 2))
        assert first.noisy.shape == first.clean.shape == second.noisy.shape
        lengths.append(first.noisy.shape[-1])
    assert 1_000 <= min(lengths) < 1_500
    assert 7_500 < max(lengths) <= SAMPLES
    assert sum(lengths) / len(lengths) == pytest.approx(4_500, abs=4 * 2_020 / 60**0.5)
    # All else is drawn as without it: the segments are those of full length, cut.
    full = Mixer(corpus, PLAIN, SAMPLES).batch(whole(0, size=4))
    cut = mixer.batch(whole(0, size=4))
    assert torch.equal(cut.noisy, full.noisy[:, : lengths[0]])


def test_levels_are_offset_as_often_and_as_far_as_asked_for(corpus: Corpus) -> None:
    noise = replace(PLAIN, pure_noise=1, level_offset=0.25, level_offset_db=(-12.0, -6.0))
    power = Mixer(corpus, noise, 512).batch(whole(0, size=2_000)).noisy.square().mean(-1)
    level_db = 10 * torch.log10(power)
    offset = level_db < -3
    assert level_db[~offset].abs().max() < 0.01
    assert offset.float().mean().item() == pytest.approx(0.25, abs=0.04)
    assert -12.01 < level_db[offset].min() < -11
    assert -7 < level_db[offset].max() < -5.99


def test_an_offset_moves_input_and_target_alike(corpus: Corpus) -> None:
    plain = Mixer(corpus, PLAIN, SAMPLES).batch(whole(0))
    quiet = Mixer(corpus, replace(PLAIN, level_offset=1, level_offset_db=(-20.0, -20.0)), SAMPLES).batch(whole(0))
    torch.testing.assert_close(quiet.noisy, plain.noisy / 10)
    torch.testing.assert_close(quiet.clean, plain.clean / 10)


@pytest.mark.parametrize(
    ("changed", "all_taught"),
    [
        ({}, True),
        ({"colour": 1.0, "band_limit": 1.0}, True),
        ({"second_noise": 1.0, "babble": 0.5}, True),
        ({"pure_speech": 1.0}, True),
        ({"level_offset": 1.0}, True),
        ({"pure_noise": 1.0}, False),
        ({"room": 1.0}, False),
        ({"clipping": 1.0}, False),
        ({"codec": 1.0}, False),
    ],
)
def test_a_teacher_teaches_where_the_mixture_is_its_target_and_noise(
    corpus: Corpus, rooms: tuple[torch.Tensor, torch.Tensor], changed: dict[str, float], all_taught: bool
) -> None:
    batch = Mixer(corpus, replace(PLAIN, **changed), SAMPLES, rooms).batch(whole(0))  # type: ignore[arg-type]
    assert batch.taught.tolist() == [all_taught] * 8


def test_taught_rows_are_told_row_by_row(corpus: Corpus) -> None:
    batch = Mixer(corpus, replace(PLAIN, pure_noise=0.5), SAMPLES).batch(whole(0, size=64))
    assert torch.equal(batch.taught, batch.clean.any(-1))
    assert batch.taught.any()
    assert not batch.taught.all()
