"""Scores of means of weights on two kinds of held-out mixtures, to choose the shares of a mean.

    python benchmarks/trade_off.py RECIPE A.safetensors [B.safetensors ...] --data FOLDER [--weights 1,1 ...]

Voices and noises are those that the recipe holds out. "recorded" mixtures have voices with the noise floor of their
recording, as in VoiceBank+DEMAND, at 2.5 to 17.5 dB: all sources that the recipe does not denoise. "denoised" mixtures
have the other voices, without noise floor, as in DNS-2020, at 0 to 20 dB. Without --weights, each file is scored alone.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from held_out import held_out, level_and_pauses, mean, print_header, print_row, scores
from imse.enhancer import Enhancer
from imse.processors import processors
from imse.signal.spectrum import SAMPLE_RATE
from imse.train.recipe_file import read
from imse.train.validation import Utterance
from imse.weights.average import average
from imse.workers import SpawnedPool


def score_all(weights: Path, utterances: Sequence[Utterance], pool: SpawnedPool) -> list[dict[str, float]]:
    """Scores of each utterance as enhanced by `imse enhance`."""
    size = -(-len(utterances) // processors())
    parts = [utterances[start : start + size] for start in range(0, len(utterances), size)]
    return [row for part in pool.map(_score, [weights] * len(parts), parts) for row in part]


def _score(weights: Path, utterances: Sequence[Utterance]) -> list[dict[str, float]]:
    enhancer = Enhancer(weights)
    return [scores(utterance, enhancer.enhance(utterance.noisy, SAMPLE_RATE)) for utterance in utterances]


def main() -> None:
    """Print a row for each mean and kind of mixtures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data", metavar="FOLDER", help="of the recipe's recordings")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--weights", action="append", default=[], metavar="W1,W2,...")
    parser.add_argument("--count", type=int, default=40, help="mixtures of each kind")
    arguments = parser.parse_args()
    mixtures = held_out(read(arguments.recipe, data=arguments.data), arguments.count)
    print_header("weights", "mixtures")
    with tempfile.TemporaryDirectory() as folder, SpawnedPool(processors()) as pool:
        candidates = [(file.stem, file) for file in arguments.files]
        if arguments.weights:
            candidates = []
            for number, text in enumerate(arguments.weights):
                averaged = Path(folder, f"{number}.safetensors")
                average(arguments.files, averaged, [float(share) for share in text.split(",")])
                candidates.append((text, averaged))
        for name, file in candidates:
            for kind, utterances in mixtures.items():
                rows = score_all(file, utterances, pool)
                means = [
                    f"{mean(rows, key):.{digits}f}" for key, digits in (("pesq_wb", 3), ("stoi", 4), ("si_sdr_db", 2))
                ]
                print_row(name, kind, *means, *level_and_pauses(rows))


if __name__ == "__main__":
    main()
