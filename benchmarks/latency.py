"""Quality and cost of streams by their latency, beside whole files, on held-out mixtures.

    python benchmarks/latency.py recipes/finetune_c.toml --data ../shared/data

Voices and noises are those that the recipe holds out. "core" is the processor time per second of audio. docs/live.md
gives the results.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np

from held_out import held_out, mean, scores
from imse import Enhancer, Stream
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.train.recipe_file import read
from imse.train.validation import Utterance
from imse.weights import DEFAULT

LATENCIES_MS = (66, 108, 140, 160, 260, 510)
BLOCK = SAMPLE_RATE // 100


def through(stream: Stream, noisy: Floats) -> Floats:
    """A signal fed in blocks of 10 ms."""
    blocks = [stream.feed(noisy[start : start + BLOCK]) for start in range(0, len(noisy), BLOCK)]
    return np.concatenate([*blocks, stream.flush()])


def row(name: str, utterances: Sequence[Utterance], enhance: Callable[[Floats], Floats]) -> str:
    """Scores and cost of a way to enhance."""
    started = time.process_time()
    estimates = [enhance(utterance.noisy) for utterance in utterances]
    cost = (time.process_time() - started) / sum(len(x) / SAMPLE_RATE for x in estimates)
    rows = [scores(utterance, estimate) for utterance, estimate in zip(utterances, estimates, strict=True)]
    return f"| {name} | {mean(rows, 'pesq_wb'):.2f} | {mean(rows, 'stoi'):.3f} | {cost:.2f} |"


def main() -> None:
    """Print a table for each kind of mixtures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data", metavar="FOLDER", help="of the recipe's recordings")
    parser.add_argument("--weights", default=DEFAULT)
    parser.add_argument("--count", type=int, default=12, help="mixtures of each kind")
    arguments = parser.parse_args()
    enhancer, first = Enhancer(arguments.weights), Stream(arguments.weights)
    for kind, utterances in held_out(read(arguments.recipe, data=arguments.data), arguments.count).items():
        print(f"\n| {kind} | PESQ | STOI | core |\n|---|---|---|---|", flush=True)
        print(row("noisy", utterances, lambda noisy: noisy), flush=True)
        for latency_ms in LATENCIES_MS:
            stream = Stream(first, latency_ms=latency_ms)
            name = f"{1000 * stream.latency / SAMPLE_RATE:.0f} ms"
            print(row(name, utterances, lambda noisy: through(stream, noisy)), flush=True)  # noqa: B023
        print(row("whole file", utterances, lambda noisy: enhancer.enhance(noisy, SAMPLE_RATE)), flush=True)


if __name__ == "__main__":
    main()
