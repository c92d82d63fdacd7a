"""Quality and cost of streams by their latency, beside whole files, on held-out mixtures.

    python benchmarks/latency.py recipes/finetune_c.toml --data ../shared/data --plot latency.svg
    python benchmarks/latency.py --pairs ../shared/data/test/voicebank_demand

Voices and noises are those that the recipe holds out. Pairs are in folders noisy and clean, at 16 kHz; nothing is to be
chosen by those of a test. "core" is the processor time per second of audio. docs/live.md
gives the results.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from held_out import held_out, mean, scores
from imse import Enhancer, Stream
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.train.recipe_file import read
from imse.train.validation import Utterance
from imse.weights import DEFAULT

LATENCIES_MS = (66, 108, 116, 140, 160, 260, 510)
BLOCK = SAMPLE_RATE // 100


def through(stream: Stream, noisy: Floats) -> Floats:
    """A signal fed in blocks of 10 ms."""
    blocks = [stream.feed(noisy[start : start + BLOCK]) for start in range(0, len(noisy), BLOCK)]
    return np.concatenate([*blocks, stream.flush()])


def read_pairs(folder: Path) -> list[Utterance]:
    """The recordings of its folders noisy and clean that have the same names."""
    names = sorted(path.name for path in (folder / "noisy").iterdir())
    return [Utterance(*(load_audio(folder / part / name) for part in ("noisy", "clean"))) for name in names]


def load_audio(path: Path) -> Floats:
    """Samples of a recording in mono at 16 kHz."""
    samples, rate = soundfile.read(path, dtype="float32")
    if samples.ndim != 1 or rate != SAMPLE_RATE:
        raise SystemExit(f"{path}: not mono at 16 kHz")
    return np.asarray(samples)


def measure(utterances: Sequence[Utterance], enhance: Callable[[Floats], Floats]) -> tuple[float, float, float]:
    """PESQ, STOI and cost of a way to enhance."""
    started = time.process_time()
    estimates = [enhance(utterance.noisy) for utterance in utterances]
    cost = (time.process_time() - started) / sum(len(x) / SAMPLE_RATE for x in estimates)
    rows = [scores(utterance, estimate) for utterance, estimate in zip(utterances, estimates, strict=True)]
    return mean(rows, "pesq_wb"), mean(rows, "stoi"), cost


def print_row(name: str, values: tuple[float, float, float]) -> None:
    """A row of the table."""
    print("| {} | {:.2f} | {:.3f} | {:.2f} |".format(name, *values), flush=True)


def plot(curves: Mapping[str, Sequence[tuple[float, float]]], whole: Mapping[str, float]) -> str:
    """PESQ over latency as SVG.

    Args:
        curves: For each kind of mixtures, latencies in milliseconds with PESQ, from the shortest on.
        whole: For each kind, PESQ of whole files.
    """
    width, height, left, bottom = 640, 320, 60, 270
    latencies = [x for curve in curves.values() for x, _ in curve]
    every = [*whole.values(), *(y for curve in curves.values() for _, y in curve)]
    low, high = math.floor(10 * min(every)) / 10, math.ceil(10 * max(every)) / 10

    def at(latency_ms: float, pesq: float) -> str:
        across = math.log(latency_ms / min(latencies)) / math.log(max(latencies) / min(latencies))
        return f"{left + 20 + across * 400:.0f},{bottom - (pesq - low) / (high - low) * 240:.0f}"

    def text(position: str, content: str, anchor: str = "middle") -> str:
        x, y = position.split(",")
        return f'<text x="{x}" y="{y}" text-anchor="{anchor}" dy="4">{content}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"',
        ' font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for step in range(round(10 * (high - low)) + 1):
        pesq = low + step / 10
        _, y = at(min(latencies), pesq).split(",")
        parts.append(f'<path d="M{left} {y}H500" stroke="#ddd"/>')
        parts.append(text(f"{left - 8},{y}", f"{pesq:.1f}", "end"))
    labelled = 0
    for latency in sorted(set(latencies)):
        x = int(at(latency, low).split(",")[0])
        if x - labelled > 25:  # room for a number
            parts.append(text(f"{x},{bottom + 18}", f"{latency:.0f}"))
            labelled = x
    parts.append(text(f"{(left + 500) // 2},{bottom + 40}", "latency in ms"))
    parts.append(text("12,10", "PESQ", "start"))
    for (kind, curve), color in zip(curves.items(), ("#0f6b66", "#b5541c"), strict=True):
        points = [at(*point) for point in curve]
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += ['<circle cx="{}" cy="{}" r="4" fill="{}"/>'.format(*point.split(","), color) for point in points]
        _, y = at(min(latencies), whole[kind]).split(",")
        parts.append(f'<path d="M{left} {y}H500" stroke="{color}" stroke-dasharray="6 4"/>')
        parts.append(text(f"505,{y}", f"{kind}, whole", "start"))
        parts.append(text(f"505,{points[-1].split(',')[1]}", kind, "start"))
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    """Print a table for each kind of mixtures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?")
    parser.add_argument("--pairs", type=Path, metavar="FOLDER", help="measure these, and no mixtures")
    parser.add_argument("--data", metavar="FOLDER", help="of the recipe's recordings")
    parser.add_argument("--weights", default=DEFAULT)
    parser.add_argument("--count", type=int, default=12, help="mixtures of each kind")
    parser.add_argument("--plot", metavar="SVG", help="draw PESQ over latency")
    arguments = parser.parse_args()
    if (arguments.recipe is None) == (arguments.pairs is None):
        parser.error("give a recipe or --pairs")
    curves: dict[str, list[tuple[float, float]]] = {}
    whole: dict[str, float] = {}
    enhancer, first = Enhancer(arguments.weights), Stream(arguments.weights)
    if arguments.pairs:
        measured = {arguments.pairs.name: read_pairs(arguments.pairs)}
    else:
        measured = held_out(read(arguments.recipe, data=arguments.data), arguments.count)
    for kind, utterances in measured.items():
        print(f"\n| {kind} | PESQ | STOI | core |\n|---|---|---|---|", flush=True)
        print_row("noisy", measure(utterances, lambda noisy: noisy))
        curves[kind] = []
        for latency_ms in LATENCIES_MS:
            stream = Stream(first, latency_ms=latency_ms)
            exact_ms = 1000 * stream.latency / SAMPLE_RATE
            values = measure(utterances, lambda noisy: through(stream, noisy))  # noqa: B023
            print_row(f"{exact_ms:.0f} ms", values)
            curves[kind].append((exact_ms, values[0]))
        values = measure(utterances, lambda noisy: enhancer.enhance(noisy, SAMPLE_RATE))
        print_row("whole file", values)
        whole[kind] = values[0]
    if arguments.plot:
        Path(arguments.plot).write_text(plot(curves, whole))


if __name__ == "__main__":
    main()
