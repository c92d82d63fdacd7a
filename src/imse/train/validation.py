"""Whole utterances of held-out speakers in held-out noise, enhanced and measured as a user would hear them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from imse.engine.torch import TorchEngine
from imse.enhancer import Enhancer
from imse.nn import Network
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.train.corpus import Corpus
from imse.train.manifest import DataError
from imse.train.mixing import generator
from imse.train.quality import METRICS, metrics
from imse.train.recipe import ValidationConfig
from imse.workers import SpawnedPool

_SECONDS = (1.5, 10.0)
"""Utterances shorter or longer than this are passed over; of a speaker who has longer ones only, they are cut."""


@dataclass(frozen=True)
class Utterance:
    """A mixture and its target, full scale 1, [samples] each."""

    noisy: Floats
    clean: Floats


def mix_utterances(corpus: Corpus, config: ValidationConfig, seed: int) -> list[Utterance]:
    """Mix held-out speech and noise, taking speakers, noise types and signal-to-noise ratios in turn.

    Args:
        corpus: The held-out recordings.
        config: How many, at which ratios.
        seed: Seed of the run: the same utterances at every validation.

    Raises:
        DataError: No held-out utterance lasts 1.5 seconds.
    """
    draw = np.random.default_rng(generator(seed, 0, purpose=1).initial_seed())
    speech, noise = (_by_label(corpus, kind, draw) for kind in ("speech", "noise"))
    if not speech:
        raise DataError(f"no held-out utterance lasts {_SECONDS[0]} seconds or more")
    utterances = []
    for number in range(config.utterances):
        voice, place = _in_turn(speech, number), _in_turn(noise, number)
        clean, background = _loudest_part(corpus.whole(voice)), corpus.whole(place)
        start = int(draw.integers(max(1, len(background) - len(clean) + 1)))
        background = np.resize(background[start:], len(clean))
        snr_db = config.snr_db[number % len(config.snr_db)]
        level = float(corpus.active_rms[voice]) * 10 ** (-snr_db / 20)
        background = background * np.float32(level / max(float(np.sqrt(np.mean(background**2))), 1e-6))
        utterances.append(Utterance(clean + background, clean))
    return utterances


def pair_utterances(corpus: Corpus, config: ValidationConfig) -> list[Utterance]:
    """Evenly spaced held-out pairs; recordings come as clean, noisy, clean, noisy, ..."""
    count = len(corpus.recordings) // 2
    chosen = np.linspace(0, count - 1, min(count, config.utterances)).round().astype(int)
    return [Utterance(noisy=corpus.whole(2 * i + 1), clean=corpus.whole(2 * i)) for i in chosen]


def _by_label(corpus: Corpus, kind: str, draw: np.random.Generator) -> list[list[int]]:
    """Recordings of a kind grouped by label, in random order; speech of usable length."""
    groups: dict[str, list[int]] = {}
    longer: dict[str, list[int]] = {}
    for index, recording in enumerate(corpus.recordings):
        seconds = int(corpus.lengths[index]) / SAMPLE_RATE
        if recording.kind == kind and (kind == "noise" or seconds >= _SECONDS[0]):
            fits = kind == "noise" or seconds <= _SECONDS[1]
            (groups if fits else longer).setdefault(recording.label, []).append(index)
    groups = {**groups, **{label: group for label, group in longer.items() if label not in groups}}
    for group in groups.values():
        draw.shuffle(group)
    return list(groups.values())


def _loudest_part(speech: Floats) -> Floats:
    """The part with the most energy that is not too long: in a long recording, somebody speaks there."""
    longest = int(_SECONDS[1] * SAMPLE_RATE)
    if len(speech) <= longest:
        return speech
    energy = np.concatenate([[0.0], np.cumsum(speech.astype(np.float64) ** 2)])
    start = int(np.argmax(energy[longest:] - energy[:-longest]))
    return speech[start : start + longest]


def _in_turn(groups: list[list[int]], number: int) -> int:
    """One of each group, then the next of each group."""
    group = groups[number % len(groups)]
    return group[number // len(groups) % len(group)]


def enhance_utterances(network: Network, device: torch.device, utterances: Sequence[Utterance]) -> list[Floats]:
    """Enhance utterances through `imse.Enhancer`, as a user would, with a network in evaluation mode on a device."""
    engine = TorchEngine(network, torch.get_num_threads(), device, name="the network in training")
    enhancer = Enhancer(engine=engine)
    return [enhancer.enhance(utterance.noisy, SAMPLE_RATE) for utterance in utterances]


def measure(pairs: Sequence[tuple[Floats, Floats]], workers: int) -> dict[str, list[float]]:
    """Each of `METRICS` of each pair of (clean, estimate) waveforms; nan where it cannot be computed.

    Args:
        pairs: Waveforms at 16 kHz, [samples] each.
        workers: Processes; one computes here.
    """
    if workers < 2:
        scored = [metrics(pair) for pair in pairs]
    else:
        with SpawnedPool(workers) as pool:
            scored = list(pool.map(metrics, pairs, chunksize=4))
    return {name: [row.get(name, math.nan) for row in scored] for name in METRICS}
