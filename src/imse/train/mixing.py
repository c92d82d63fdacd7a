"""Mixtures made on the fly. A batch depends on seed and step alone, not on the number of processes or their speed.

All random numbers of a step are drawn on the CPU for the whole batch, from a generator seeded by seed and step. Each
process then takes its rows to its device, where cutting, filtering, mixing and scaling happen in batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from imse.train.augment import Colour, clip_peaks, convolve, mu_law
from imse.train.corpus import Corpus
from imse.train.manifest import Recording
from imse.train.recipe import DecibelRange, MixingConfig, RecipeError

_QUIETEST = 10 ** (-60 / 20)  # RMS of a noise segment relative to its recording: a pause in it is not amplified more


@dataclass(frozen=True)
class Batch:
    """Segments to learn from.

    Attributes:
        noisy: Input waveforms [B, samples], scaled to unit RMS of their utterance.
        clean: Targets [B, samples], scaled by the same factors.
        taught: Whether a teacher's output is part of the target, bool [B].
    """

    noisy: Tensor
    clean: Tensor
    taught: Tensor


def generator(seed: int, step: int, purpose: int = 0) -> torch.Generator:
    """A generator on the CPU whose state depends on its arguments alone."""
    state = np.random.SeedSequence((seed, step, purpose)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


class Draw:
    """Random numbers of one step, drawn for the whole batch; a process keeps those of its rows.

    Args:
        seed: Seed of the run.
        step: Step of the run.
        batch_size: Segments of the step over all processes.
        rows: The rows of this process.
    """

    def __init__(self, seed: int, step: int, batch_size: int, rows: slice) -> None:
        self._generator = generator(seed, step)
        self._batch_size = batch_size
        self._rows = rows

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Numbers in [low, high) of shape [B, *shape]."""
        drawn = torch.rand(self._batch_size, *shape, generator=self._generator)
        return low + (high - low) * drawn[self._rows]

    def common(self, low: float, high: float) -> float:
        """One number in [low, high) for all rows of all processes."""
        return low + (high - low) * float(torch.rand(1, generator=self._generator))

    def within(self, limits: DecibelRange, *shape: int) -> Tensor:
        """As `uniform`, from a pair of limits."""
        return self.uniform(limits[0], limits[1], *shape)

    def chance(self, probability: float) -> Tensor:
        """True with a probability, [B]."""
        return self.uniform(0, 1) < probability

    def index(self, cumulative: Tensor, *shape: int) -> Tensor:
        """Indices [B, *shape] drawn with the weights whose normalised running sum (float64) is given."""
        drawn = self.uniform(0, 1, *shape).double()
        return torch.searchsorted(cumulative, drawn, right=True).clamp(max=len(cumulative) - 1)


class Mixer:
    """Mixtures of clean speech and noise.

    Args:
        corpus: Speech and noise recordings.
        config: How to mix.
        samples: Samples of a segment.
        rooms: Impulse responses to draw from, see `imse.train.rooms`; needed where `config.room` is not 0.
        shares: Share of the speech that is drawn from a source, see `imse.train.recipe.DataConfig`.
        taught: Sources of speech whose mixtures a teacher teaches; all by default.

    Raises:
        RecipeError: The shares are above 1 in all, or leave nothing for the other sources.
    """

    def __init__(
        self,
        corpus: Corpus,
        config: MixingConfig,
        samples: int,
        rooms: tuple[Tensor, Tensor] | None = None,
        *,
        shares: Mapping[str, float] | None = None,
        taught: Collection[str] | None = None,
    ) -> None:
        self._corpus, self._config, self._samples, self._rooms = corpus, config, samples, rooms
        self._speech, self._speech_weight = _speech_weights(corpus, shares or {})
        self._noise, self._noise_weight = _noise_weights(corpus)
        self._taught = torch.tensor([taught is None or r.source in taught for r in corpus.recordings])
        self._colour = Colour(samples, corpus.samples.device)

    def batch(self, draw: Draw) -> Batch:
        """The mixtures of one step."""
        config, corpus = self._config, self._corpus
        device = corpus.samples.device

        def put(x: Tensor) -> Tensor:
            return x.to(device, non_blocking=True).unsqueeze(-1)

        speaker = self._speech[draw.index(self._speech_weight)]
        speech = corpus.cut(speaker, self._offset(draw, speaker), self._samples)
        noise = self._noises(draw)

        # The level of the speech is that of its whole utterance, so that a pause is not amplified.
        unit = put(1 / corpus.active_rms[speaker])
        speech = speech * unit
        speech_power = (put(corpus.rms[speaker]) * unit).square()
        snr = put(draw.within(config.snr_db))
        noise_gain = 10 ** (-snr / 20) * put(~draw.chance(config.pure_speech))
        keep = put(~draw.chance(config.pure_noise))
        speech, speech_power = speech * keep, speech_power * keep
        noise = noise * torch.where(keep, noise_gain, 1.0)

        if config.colour > 0 or config.band_limit > 0:
            speech, noise = self._filter(draw, speech, noise)
        clean = speech
        untaught = ~keep.squeeze(-1)
        if config.room > 0:
            speech, clean, inside = self._place(draw, speech)
            untaught = untaught | inside
        noisy, damaged = self._damage(draw, speech + noise)
        scale = torch.rsqrt(speech_power + noise.square().mean(-1, keepdim=True) + 1e-8)
        if config.level_offset > 0:
            offset = 10 ** (draw.within(config.level_offset_db) / 20)
            scale = scale * put(torch.where(draw.chance(config.level_offset), offset, 1.0))
        kept = slice(self._samples)
        if config.shortest_segment:
            kept = slice(int(draw.common(config.shortest_segment, self._samples + 1)))
        # A teacher is not trained for all mixtures: none teaches silence, rooms or damaged recordings. Colour and band
        # limits are no damage, as the target has them, too.
        taught = self._taught[speaker].to(device) & ~(untaught | damaged)
        return Batch((noisy * scale)[:, kept], (clean * scale)[:, kept], taught)

    def _offset(self, draw: Draw, recording: Tensor) -> Tensor:
        """A first sample such that the segment overlaps the recording as far as it can."""
        slack = self._corpus.lengths[recording] - self._samples
        shape = recording.shape[1:]
        return torch.floor(draw.uniform(0, 1, *shape) * (slack.abs() + 1)).long() * slack.sign()

    def _noises(self, draw: Draw) -> Tensor:
        """Noise of unit RMS [B, samples]: one recording, two, or babble."""
        config = self._config
        first = self._unit_noise(draw)
        if config.second_noise > 0:
            gain = 10 ** (draw.uniform(-10, 0) / 20) * draw.chance(config.second_noise)
            first = first + gain.to(first.device).unsqueeze(-1) * self._unit_noise(draw)
        if config.babble > 0:
            chosen = draw.chance(config.babble).to(first.device).unsqueeze(-1)
            first = torch.where(chosen, self._babble(draw), first)
        return first

    def _unit_noise(self, draw: Draw) -> Tensor:
        corpus = self._corpus
        recording = self._noise[draw.index(self._noise_weight)]
        noise = corpus.cut(recording, self._offset(draw, recording), self._samples)
        floor = corpus.rms[recording].to(noise.device, non_blocking=True).unsqueeze(-1) * _QUIETEST + 1e-6
        return noise / noise.square().mean(-1, keepdim=True).sqrt().maximum(floor)

    def _babble(self, draw: Draw) -> Tensor:
        """Several voices at once, of unit RMS."""
        fewest, most = self._config.babble_voices
        speaker = self._speech[draw.index(self._speech_weight, most)]
        voices = self._corpus.cut(speaker, self._offset(draw, speaker), self._samples)
        count = torch.floor(draw.uniform(fewest, most + 1)).unsqueeze(-1)
        gain = 10 ** (draw.uniform(-6, 0, most) / 20) / self._corpus.active_rms[speaker] * (torch.arange(most) < count)
        babble = (voices * gain.to(voices.device).unsqueeze(-1)).sum(1)
        return babble / (babble.square().mean(-1, keepdim=True).sqrt() + 1e-6)

    def _filter(self, draw: Draw, speech: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        config = self._config
        points = self._colour.points

        def curve(rows: Tensor) -> Tensor:
            return draw.uniform(-config.colour_db, config.colour_db, points) * rows.unsqueeze(-1)

        of_speech, of_noise = curve(draw.chance(config.colour)), curve(draw.chance(config.colour))
        cutoff = torch.where(draw.chance(config.band_limit), draw.uniform(3_000, 7_500), torch.inf)
        speech = self._colour(speech, of_speech, cutoff)
        return speech, self._colour(noise, of_noise, cutoff)

    def _place(self, draw: Draw, speech: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Speech in a room, its direct sound with early reflections, and which rows are in a room, bool [B]."""
        assert self._rooms is not None
        room = torch.floor(draw.uniform(0, len(self._rooms[0]))).long()
        inside = draw.chance(self._config.room).to(speech.device)
        chosen = inside.unsqueeze(-1)
        reverberant, direct = (convolve(speech, responses[room.to(responses.device)]) for responses in self._rooms)
        return torch.where(chosen, reverberant, speech), torch.where(chosen, direct, speech), inside

    def _damage(self, draw: Draw, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """Clipped or telephone recordings, and which rows are such, bool [B]."""
        config = self._config
        damaged = torch.zeros(len(noisy), dtype=torch.bool, device=noisy.device)
        damages: list[tuple[float, Callable[[Tensor], Tensor]]] = []
        if config.clipping > 0:
            share = draw.uniform(0.2, 0.8).to(noisy.device).unsqueeze(-1)
            damages.append((config.clipping, lambda x: clip_peaks(x, share)))
        if config.codec > 0:
            level = 10 ** (draw.within(config.level_db) / 20).to(noisy.device).unsqueeze(-1)
            damages.append((config.codec, lambda x: mu_law(x * level) / level))
        for probability, damage in damages:
            chosen = draw.chance(probability).to(noisy.device)
            noisy = torch.where(chosen.unsqueeze(-1), damage(noisy), noisy)
            damaged = damaged | chosen
        return noisy, damaged


class Pairs:
    """Segments of recorded pairs of clean and noisy speech.

    Args:
        corpus: Recordings in the order clean, noisy, clean, noisy, ...
        samples: Samples of a segment; shorter recordings are padded with silence, as the authors do.
    """

    def __init__(self, corpus: Corpus, samples: int) -> None:
        self._corpus, self._samples = corpus, samples
        self._even = torch.linspace(0, 1, len(corpus.recordings) // 2 + 1, dtype=torch.float64)[1:]

    def batch(self, draw: Draw) -> Batch:
        """The segments of one step."""
        corpus = self._corpus
        clean = draw.index(self._even) * 2
        slack = (corpus.lengths[clean] - self._samples).clamp(min=0)
        offset = torch.floor(draw.uniform(0, 1) * (slack + 1)).long()
        scale = (1 / (corpus.rms[clean + 1] + 1e-8)).to(corpus.samples.device, non_blocking=True).unsqueeze(-1)
        return Batch(
            noisy=corpus.cut(clean + 1, offset, self._samples) * scale,
            clean=corpus.cut(clean, offset, self._samples) * scale,
            taught=torch.ones(len(clean), dtype=torch.bool, device=corpus.samples.device),
        )


def _noise_weights(corpus: Corpus) -> tuple[Tensor, Tensor]:
    """Noise recordings, and the running sum of their weights: every type as often as any other."""
    chosen = [i for i, recording in enumerate(corpus.recordings) if recording.kind == "noise"]
    seconds, group, _ = _by(lambda recording: recording.label, corpus, chosen)
    weight = seconds / torch.zeros(int(group.max()) + 1, dtype=torch.float64).index_add(0, group, seconds)[group]
    return torch.tensor(chosen), (weight / weight.sum()).cumsum(0)


def _speech_weights(corpus: Corpus, shares: Mapping[str, float]) -> tuple[Tensor, Tensor]:
    """Speech recordings, and the running sum of their weights: by seconds, except where a source has its share."""
    chosen = [i for i, recording in enumerate(corpus.recordings) if recording.kind == "speech"]
    seconds, group, names = _by(lambda recording: recording.source, corpus, chosen)
    total = torch.zeros(len(names), dtype=torch.float64).index_add(0, group, seconds)
    fixed = torch.tensor([name in shares for name in names])
    rest = 1 - sum(shares.values())
    if rest < 0 or any(share < 0 for share in shares.values()) or (rest > 1e-6 and bool(fixed.all())):
        raise RecipeError("data.speech_shares: shares are at least 0 and in all 1, or less where other sources remain")
    of_source = torch.where(fixed, 0, total)
    of_source *= rest / of_source.sum().clamp(min=1)
    for number, name in enumerate(names):
        of_source[number] += shares.get(name, 0)
    weight = seconds / total[group] * of_source[group]
    return torch.tensor(chosen), (weight / weight.sum()).cumsum(0)


def _by(key: Callable[[Recording], str], corpus: Corpus, chosen: list[int]) -> tuple[Tensor, Tensor, list[str]]:
    """Samples of the chosen recordings (float64), the number of the group of each, and the groups' names."""
    keys = [key(corpus.recordings[i]) for i in chosen]
    names = list(dict.fromkeys(keys))
    return corpus.lengths[chosen].double(), torch.tensor([names.index(k) for k in keys]), names
