"""Mixtures of the voices and noises that a recipe holds out, and what the scripts print of their scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imse.signal.spectrum import Floats
from imse.train.corpus import load
from imse.train.manifest import Recording, split_manifest
from imse.train.quality import metrics
from imse.train.recipe import Recipe
from imse.train.validation import Utterance, mix_utterances

COLUMNS = ("PESQ", "STOI", "SI-SDR, dB", "level, dB: mean (worst)", "lower in pauses, dB")
SNR_DB = {"recorded": (2.5, 7.5, 12.5, 17.5), "denoised": (0.0, 5.0, 10.0, 15.0, 20.0)}
SEED = 5  # gives other mixtures than the validations during training
_FRAME = 320  # 20 ms
_PAUSE_DB = -40.0  # a frame of clean speech below this is a pause; relative to the loudest frame


def mixtures(
    recipe: Recipe, count: int, snr_db: tuple[float, ...], seed: int, voices: Callable[[Recording], bool]
) -> list[Utterance]:
    """Mixtures of held-out noises and those of the held-out voices for which a function is true."""
    cache = Path(recipe.data.cache) if recipe.data.cache else None
    chosen = [r for r in split_manifest(recipe.data).held_out if r.kind == "noise" or voices(r)]
    return mix_utterances(load(chosen, cache), replace(recipe.validation, utterances=count, snr_db=snr_db), seed)


def held_out(recipe: Recipe, count: int) -> dict[str, list[Utterance]]:
    """Mixtures of two kinds.

    Those of "recorded" have voices with the noise floor of their recording, as in VoiceBank+DEMAND: all sources that
    the recipe does not denoise. Those of "denoised" have the other voices, without noise floor, as in DNS-2020.
    """
    return {
        "recorded": mixtures(recipe, count, SNR_DB["recorded"], SEED, lambda voice: not voice.denoised),
        "denoised": mixtures(recipe, count, SNR_DB["denoised"], SEED, lambda voice: voice.denoised),
    }


def scores(utterance: Utterance, estimate: Floats) -> dict[str, float]:
    """`imse.train.quality.METRICS` of an estimate [samples], and `pauses_db`, without those that do not exist."""
    values = metrics((utterance.clean, estimate))
    reduction = pauses_db(utterance.noisy, estimate, utterance.clean)
    return values if math.isnan(reduction) else {**values, "pauses_db": reduction}


def pauses_db(before: Floats, after: Floats, clean: Floats) -> float:
    """Attenuation in the pauses of the clean speech, in dB; nan without pauses."""
    power = [np.square(x[: len(x) // _FRAME * _FRAME].reshape(-1, _FRAME)).mean(1) for x in (before, after, clean)]
    pause = power[2] < power[2].max() * 10 ** (_PAUSE_DB / 10)
    if not pause.any():
        return math.nan
    return 10 * float(np.log10((power[0][pause].mean() + 1e-12) / (power[1][pause].mean() + 1e-12)))


def mean(rows: Iterable[Mapping[str, float]], name: str) -> float:
    """Mean of a score over the rows that have it."""
    return float(np.mean([row[name] for row in rows if name in row]))


def level_and_pauses(rows: Sequence[Mapping[str, float]]) -> tuple[str, str]:
    """The cells of the last two of `COLUMNS`."""
    worst = max((row["level_db"] for row in rows if "level_db" in row), key=abs)
    pauses = np.median([row["pauses_db"] for row in rows if "pauses_db" in row])
    return f"{mean(rows, 'level_db'):+.2f} ({worst:+.2f})", f"{pauses:.1f}"


def print_header(*first: str) -> None:
    """Print the head of a Markdown table, with columns before `COLUMNS`."""
    print_row(*first, *COLUMNS)
    print("|---" * (len(first) + len(COLUMNS)) + "|")


def print_row(*cells: str) -> None:
    """Print a row of a Markdown table."""
    print("| " + " | ".join(cells) + " |", flush=True)
