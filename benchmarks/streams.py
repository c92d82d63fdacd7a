"""Streams under load and over time.

    python benchmarks/streams.py at-once --streams 1 2 4 8    how many keep up in real time
    python benchmarks/streams.py soak --minutes 60            time of a step and memory, over so much sound

Both feed the example, repeated, in blocks of 10 ms. At once, every stream has a thread of its own, all share a network,
and blocks come when a microphone would give them: "late" is the time from there to the end of the call. Streams keep up
if 99 of 100 blocks are ready within 100 ms. A step is a call that gives samples. The soak goes as fast as it can.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from imse import Stream
from imse.native import instruction_set
from imse.processors import processors
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.weights import DEFAULT

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "dishes.flac"
BLOCK = SAMPLE_RATE // 100
IN_TIME_MS = 100.0
ROWS = 6  # of the soak


def blocks(first: int = 0) -> Iterator[Floats]:
    """The example without end, from a sample on."""
    samples, _ = soundfile.read(EXAMPLE, dtype="float32")
    samples = np.roll(samples, -first)
    whole = len(samples) // BLOCK * BLOCK
    return cycle(samples[:whole].reshape(-1, BLOCK))


def at_once(first: Stream, count: int, latency_ms: float, seconds: float) -> tuple[Floats, float]:
    """Feed several streams in real time.

    Returns:
        Milliseconds that each block was late, and the processor time per second.
    """
    late: list[float] = []
    streams = [Stream(first, latency_ms=latency_ms) for _ in range(count)]
    begin = time.perf_counter() + 0.1

    def feed(i: int, stream: Stream) -> None:
        # Microphones do not begin at the same moment.
        due = begin + i / count * stream.latency / SAMPLE_RATE
        for block, _ in zip(blocks(i * SAMPLE_RATE), range(round(seconds * SAMPLE_RATE / BLOCK)), strict=False):
            due += BLOCK / SAMPLE_RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            stream.feed(block)
            late.append(1000 * (time.perf_counter() - due))

    threads = [threading.Thread(target=feed, args=pair) for pair in enumerate(streams)]
    used = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.array(late, np.float32), (time.process_time() - used) / (time.perf_counter() - begin)


def show_at_once(first: Stream, counts: Sequence[int], latency_ms: float, seconds: float) -> None:
    """Print a row for each number of streams."""
    print("| streams | late, median | 99 of 100 | most | processor time per second | in real time |")
    print("|---|---|---|---|---|---|")
    for count in counts:
        late, used = at_once(first, count, latency_ms, seconds)
        median, high, most = np.percentile(late, (50, 99, 100))
        keeps_up = "yes" if high < IN_TIME_MS else "no"
        times = f"{median:.1f} ms | {high:.1f} ms | {most:.1f} ms"
        print(f"| {count} | {times} | {used:.2f} s | {keeps_up} |", flush=True)


def soak(stream: Stream, minutes: float) -> None:
    """Print a row for each part of a long time."""
    print("| minutes of sound | a step: median | 99 of 100 | most | memory |\n|---|---|---|---|---|")
    source = blocks()
    for row in range(1, ROWS + 1):
        steps = []
        for _ in range(round(60 * minutes / ROWS * SAMPLE_RATE / BLOCK)):
            block = next(source)
            started = time.perf_counter()
            if len(stream.feed(block)):
                steps.append(1000 * (time.perf_counter() - started))
        median, high, most = np.percentile(steps, (50, 99, 100))
        times = f"{median:.1f} ms | {high:.1f} ms | {most:.1f} ms"
        print(f"| {minutes * row / ROWS:g} | {times} | {resident_mib():.1f} MiB |", flush=True)


def resident_mib() -> float:
    """Memory of this process that is in use (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["at-once", "soak"])
    parser.add_argument("--weights", default=DEFAULT)
    parser.add_argument("--latency", type=float, default=140, metavar="MS")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=20, help="of each row of at-once")
    parser.add_argument("--minutes", type=float, default=60, help="of sound in the soak")
    arguments = parser.parse_args()
    stream = Stream(arguments.weights, latency_ms=arguments.latency)
    print(f"weights '{arguments.weights}', {1000 * stream.latency / SAMPLE_RATE:.0f} ms; ", end="")
    print(f"{processors()} processors, {instruction_set()}\n")
    if arguments.what == "soak":
        soak(stream, arguments.minutes)
    else:
        show_at_once(stream, arguments.streams, arguments.latency, arguments.seconds)


if __name__ == "__main__":
    main()
