"""Time of the parts of the composite measures (LLR, WSS, segmental SNR), compared with a plain loop over frames.

Both score the same recordings in turns in one run, on one thread each. The ratio is then almost independent of other
load. The loop is `benchmarks/per_frame.py`, which computes one frame after the other, as the classical script does.

    python benchmarks/measures.py --clean CLEAN --noisy NOISY
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from imse.processors import THREAD_VARIABLES

os.environ |= dict.fromkeys(THREAD_VARIABLES, "1")

import per_frame
from imse.evaluate import MEASURES, score
from imse.evaluate.pairs import find_pairs
from imse.evaluate.recordings import read

PARTS = ("llr", "wss", "ssnr_db")


def main() -> None:
    """Print the ratios as a Markdown table, and the processor time of every measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", type=Path, required=True)
    parser.add_argument("--noisy", type=Path, required=True)
    arguments = parser.parse_args()
    pairs = find_pairs(arguments.clean, [arguments.noisy], None, None)
    signals = [(read(pair.clean), read(pair.enhanced[0])) for pair in pairs]
    signals = [(clean[: len(noisy)], noisy[: len(clean)]) for clean, noisy in signals]
    seconds = sum(len(clean) for clean, _ in signals) / 16_000
    score(*signals[0])  # loads the libraries

    loop, ours, pesq = [], [], []
    for clean, noisy in signals:
        loop.append(_seconds(partial(per_frame.composite_parts, clean, noisy)))
        ours.append(_seconds(partial(score, clean, noisy, PARTS)))
        pesq.append(_seconds(partial(score, clean, noisy, ("pesq_wb",))))
    print(f"{len(pairs)} pairs, {seconds:.0f} s of sound\n")
    print("| | loop, s | ours, s | ratio | median ratio of a file |\n|---|---|---|---|---|")
    _row("LLR, WSS, segmental SNR", loop, ours)
    with_pesq = ([a + b for a, b in zip(times, pesq, strict=True)] for times in (loop, ours))
    _row("with the PESQ that the composite measures need", *with_pesq)

    dnsmos = [name for name, measure in MEASURES.items() if not measure.needs_clean]
    others = [name for name in MEASURES if name not in dnsmos]
    print("\n| measures | processor time per pair, s |\n|---|---|")
    for label, names in (("DNSMOS", dnsmos), ("all others", others)):
        spent = [_seconds(partial(score, clean, noisy, names)) for clean, noisy in signals]
        print(f"| {label} | {statistics.mean(spent):.3f} |")


def _seconds(work: Callable[[], object]) -> float:
    """Processor time, which depends less on other load than wall time."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _row(name: str, loop: list[float], ours: list[float]) -> None:
    median = statistics.median(a / b for a, b in zip(loop, ours, strict=True))
    print(f"| {name} | {sum(loop):.2f} | {sum(ours):.2f} | {sum(loop) / sum(ours):.1f} | {median:.1f} |")


if __name__ == "__main__":
    main()
