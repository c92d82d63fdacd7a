"""Scores of means of weights on two kinds of held-out mixtures, to choose the shares of a mean.

    python benchmarks/trade_off.py RECIPE A.safetensors [B.safetensors ...] [--weights 1,1 --weights 1,3 ...]

Voices and noises are those that the recipe holds out. "recorded" mixtures have voices with the noise floor of their
recording, as in VoiceBank+DEMAND, at 2.5 to 17.5 dB: all sources that the recipe does not denoise. "denoised" mixtures
have the other voices, without noise floor, as in DNS-2020, at 0 to 20 dB. Without --weights, each file is scored alone.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from harm import pauses_db
from imse.enhancer import Enhancer
from imse.evaluate.measures import score
from imse.processors import processors
from imse.signal.spectrum import SAMPLE_RATE
from imse.train.corpus import load
from imse.train.manifest import split_manifest
from imse.train.recipe_file import read
from imse.train.validation import Utterance, mix_utterances
from imse.weights.average import average

MEASURES = ("pesq_wb", "stoi", "si_sdr_db", "level_db")
SNR_DB = {"recorded": (2.5, 7.5, 12.5, 17.5), "denoised": (0.0, 5.0, 10.0, 15.0, 20.0)}
SEED = 5  # gives other mixtures than the validations during training


def held_out(recipe_path: str, count: int) -> dict[str, list[Utterance]]:
    """Mixtures of held-out voices and noises, by kind."""
    recipe = read(recipe_path)
    cache = Path(recipe.data.cache) if recipe.data.cache else None
    recordings = split_manifest(recipe.data).held_out
    mixtures = {}
    for kind, snr_db in SNR_DB.items():
        chosen = [r for r in recordings if r.kind == "noise" or r.denoised == (kind == "denoised")]
        config = replace(recipe.validation, utterances=count, snr_db=snr_db)
        mixtures[kind] = mix_utterances(load(chosen, cache), config, SEED)
    return mixtures


def scores(weights: Path | str, utterances: Sequence[Utterance], pool: ProcessPoolExecutor) -> dict[str, list[float]]:
    """Scores of all utterances as enhanced by `imse enhance`: `MEASURES`, and the reduction in pauses."""
    size = -(-len(utterances) // processors())
    parts = [utterances[start : start + size] for start in range(0, len(utterances), size)]
    rows = [row for part in pool.map(_score, [weights] * len(parts), parts) for row in part]
    return {name: [row[name] for row in rows if name in row] for name in (*MEASURES, "pauses_db")}


def _score(weights: Path | str, utterances: Sequence[Utterance]) -> list[dict[str, float]]:
    enhancer = Enhancer(weights)
    rows = []
    for u in utterances:
        enhanced = enhancer.enhance(u.noisy, SAMPLE_RATE)
        row = score(u.clean, enhanced, MEASURES).values
        reduction = pauses_db(u.noisy, enhanced, u.clean)
        rows.append(row if np.isnan(reduction) else {**row, "pauses_db": reduction})
    return rows


def main() -> None:
    """Print a row for each mean and kind of mixtures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--weights", action="append", default=[], metavar="W1,W2,...")
    parser.add_argument("--count", type=int, default=40, help="mixtures of each kind")
    arguments = parser.parse_args()
    mixtures = held_out(arguments.recipe, arguments.count)
    print("| weights | mixtures | PESQ | STOI | SI-SDR, dB | level, dB: mean (worst) | lower in pauses, dB |")
    print("|---" * 7 + "|")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(processors()) as pool:
        candidates = [(file.stem, file) for file in arguments.files]
        if arguments.weights:
            candidates = []
            for number, text in enumerate(arguments.weights):
                mean = Path(folder, f"{number}.safetensors")
                average(arguments.files, mean, [float(share) for share in text.split(",")])
                candidates.append((text, mean))
        for name, file in candidates:
            for kind, utterances in mixtures.items():
                found = scores(file, utterances, pool)
                pesq, stoi, si_sdr, level = (float(np.mean(found[measure])) for measure in MEASURES)
                pauses = float(np.median(found["pauses_db"]))
                worst = max(found["level_db"], key=abs)
                row = f"{pesq:.3f} | {stoi:.4f} | {si_sdr:.2f} | {level:+.2f} ({worst:+.2f}) | {pauses:.1f}"
                print(f"| {name} | {kind} | {row} |", flush=True)


if __name__ == "__main__":
    main()
