"""What weights leave of noise in pauses, and whether they keep the level of speech.

    python benchmarks/pauses.py recipes/small.toml [WEIGHTS]

The mixtures are of the held-out voices and noises of a recipe, which no training saw, at 10 dB. A pause is a frame of
20 ms in which the clean speech is at least 40 dB below its loudest frame. Prints medians over the mixtures, in dB.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from imse.enhancer import Enhancer
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.train.corpus import load
from imse.train.manifest import split_manifest
from imse.train.recipe_file import read
from imse.train.validation import mix_utterances

_FRAME = 320
_PAUSE_DB = -40.0


def frame_power(signal: Floats) -> Floats:
    """Mean power of each whole frame of 20 ms of a signal [samples]."""
    frames = signal[: len(signal) // _FRAME * _FRAME].reshape(-1, _FRAME)
    return np.asarray(np.square(frames).mean(1))


def decibels(ratio: float) -> float:
    """A ratio of powers in dB."""
    return 10 * float(np.log10(ratio + 1e-12))


def main(recipe_path: str, weights: str = "default") -> None:
    """Print the two numbers."""
    recipe = read(recipe_path)
    cache = Path(recipe.data.cache) if recipe.data.cache else None
    corpus = load(split_manifest(recipe.data).held_out, cache)
    utterances = mix_utterances(corpus, replace(recipe.validation, snr_db=(10.0,)), recipe.seed)
    enhancer = Enhancer(weights)
    reductions, levels = [], []
    for utterance in utterances:
        noisy, clean = frame_power(utterance.noisy), frame_power(utterance.clean)
        enhanced = frame_power(enhancer.enhance(utterance.noisy, SAMPLE_RATE))
        pause = clean < clean.max() * 10 ** (_PAUSE_DB / 10)
        speech = clean > clean.max() * 10 ** (-20 / 10)
        if pause.any():
            reductions.append(decibels(noisy[pause].mean() / enhanced[pause].mean()))
        levels.append(decibels(enhanced[speech].mean() / clean[speech].mean()))
    print(f"noise in pauses lowered by {np.median(reductions):.1f} dB ({len(reductions)} mixtures)")
    print(f"level of speech changed by {np.median(levels):+.2f} dB ({len(levels)} mixtures)")


if __name__ == "__main__":
    main(*sys.argv[1:])
