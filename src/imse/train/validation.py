"""Whole utterances of held-out speakers in held-out noise, enhanced and measured as a user would hear them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imse.nn.spectrum import analyse, synthesise
from imse.spectrum import SAMPLE_RATE
from imse.train.corpus import Corpus
from imse.train.mixing import generator
from imse.train.recipe import ValidationConfig

METRICS = ("pesq", "stoi", "si_sdr")
_SECONDS = (1.5, 10.0)  # utterances shorter or longer than this are passed over

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Utterance:
    """A mixture and its target, full scale 1, [samples] each."""

    noisy: Waveform
    clean: Waveform


def mix_utterances(corpus: Corpus, config: ValidationConfig, seed: int) -> list[Utterance]:
    """Mix held-out speech and noise, speakers, noise types and signal-to-noise ratios in turn.

    Args:
        corpus: The held-out recordings.
        config: How many, at which ratios.
        seed: Seed of the run: the same utterances at every validation.
    """
    draw = np.random.default_rng(generator(seed, 0, purpose=1).initial_seed())
    speech, noise = (_by_label(corpus, kind, draw) for kind in ("speech", "noise"))
    utterances = []
    for number in range(config.utterances):
        speaker, place = (group[number % len(group)] for group in (speech, noise))
        clean = corpus.whole(speaker[number // len(speech) % len(speaker)])
        source = place[number // len(noise) % len(place)]
        background = corpus.whole(source)
        start = int(draw.integers(max(1, len(background) - len(clean) + 1)))
        background = np.resize(background[start:], len(clean))
        snr_db = config.snr_db[number % len(config.snr_db)]
        wanted = float(corpus.active_rms[speaker[number // len(speech) % len(speaker)]]) * 10 ** (-snr_db / 20)
        background = background * np.float32(wanted / max(float(np.sqrt(np.mean(background**2))), 1e-6))
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
    for index, recording in enumerate(corpus.recordings):
        seconds = int(corpus.lengths[index]) / SAMPLE_RATE
        if recording.kind == kind and (kind == "noise" or _SECONDS[0] <= seconds <= _SECONDS[1]):
            groups.setdefault(recording.label, []).append(index)
    for group in groups.values():
        draw.shuffle(group)
    return list(groups.values())


@torch.no_grad()
def enhance(network: nn.Module, noisy: Waveform, device: torch.device) -> Waveform:
    """Enhance a whole utterance [samples] in one piece."""
    waveform = torch.from_numpy(noisy).to(device).unsqueeze(0)
    scale = waveform.square().mean().rsqrt()
    magnitude, phase = network(*analyse(waveform * scale))
    enhanced: Waveform = (synthesise(magnitude, phase, len(noisy)) / scale)[0].cpu().numpy()
    return enhanced


def measure(pairs: Sequence[tuple[Waveform, Waveform]], workers: int) -> dict[str, float]:
    """Mean of each metric over pairs of (clean, estimate) waveforms, computed in processes."""
    if workers < 2:
        scores = [score(pair) for pair in pairs]
    else:
        with ProcessPoolExecutor(workers) as pool:
            scores = list(pool.map(score, pairs, chunksize=4))
    return {name: float(np.nanmean([row[i] for row in scores])) for i, name in enumerate(METRICS)}


def score(pair: tuple[Waveform, Waveform]) -> tuple[float, float, float]:
    """Wide-band PESQ, STOI and SI-SDR in dB; a metric that cannot be computed is nan."""
    from pesq import NoUtterancesError, pesq
    from pystoi import stoi

    clean, estimate = (np.asarray(x, np.float64) for x in pair)
    try:
        quality = float(pesq(SAMPLE_RATE, clean, estimate, "wb"))
    except NoUtterancesError:
        quality = float("nan")
    target = (estimate @ clean) / (clean @ clean + 1e-12) * clean
    ratio = 10 * np.log10((target @ target + 1e-12) / (np.sum((estimate - target) ** 2) + 1e-12))
    return quality, float(stoi(clean, estimate, SAMPLE_RATE)), float(ratio)
