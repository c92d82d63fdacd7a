"""`imse corpus` beside `imse enhance --jobs` on the same files: hours of audio per core-hour, start-up and memory.

    python benchmarks/corpus.py --minutes 20 --jobs 1 2

Both are run as commands, in turn, on recordings of 5 to 15 s and one long one among them. Rates are without the start,
which is measured by a run of one short file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import soundfile

_RATE = 16_000
_ROOT = Path(__file__).resolve().parents[1]


def make_corpus(folder: Path, minutes: float) -> tuple[float, int]:
    """Recordings of 5 to 15 s, and one that takes a tenth of all; returns the seconds and the number of files."""
    noisy, _ = soundfile.read(_ROOT / "examples" / "dishes.flac", dtype="float32")
    rng = np.random.default_rng(0)
    lengths = [minutes * 6.0]
    while sum(lengths) < minutes * 60:
        lengths.append(float(rng.uniform(5, 15)))
    for number, seconds in enumerate(lengths):
        samples = np.resize(noisy, round(seconds * _RATE))
        soundfile.write(folder / f"{number:05}.flac", samples * rng.uniform(0.3, 1), _RATE)
    return sum(lengths), len(lengths)


def run(arguments: list[str | Path]) -> tuple[float, float]:
    """Seconds that a command took, and the most memory in MiB that one worker, or else the command, had at a time."""
    process = subprocess.Popen(
        [sys.executable, "-m", "imse", *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    most = [0.0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            workers = [memory for title, memory in _processes() if title.startswith("ray::MapBatches")]
            most[0] = max([most[0], *(workers or [_memory(process.pid)])])

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    _, errors = process.communicate()
    seconds = time.perf_counter() - started
    ended.set()
    watcher.join()
    if process.returncode:
        sys.exit(errors.decode())
    return seconds, most[0]


def _processes() -> list[tuple[str, float]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append(((entry / "cmdline").read_text().replace("\0", " "), _memory(int(entry.name))))
            except OSError:
                continue
    return found


def _memory(process: int) -> float:
    """Memory that a process has for itself and does not share, in MiB."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="of audio")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], help="files at the same time")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--repeat", type=int, default=3, help="times that each is run; the median counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus, short = Path(folder) / "corpus", Path(folder) / "short"
        corpus.mkdir()
        short.mkdir()
        seconds, files = make_corpus(corpus, arguments.minutes)
        make_corpus(short, 0.001)
        calls: dict[tuple[str, int], list[str | Path]] = {}
        for jobs in arguments.jobs:
            options = ["--weights", arguments.weights]
            calls["imse enhance --jobs", jobs] = ["enhance", "--jobs", str(jobs), "--threads", "1", *options, "-o"]
            calls["imse corpus --workers", jobs] = ["corpus", "--workers", str(jobs), *options]
        taken: dict[tuple[str, int], list[tuple[float, float, float]]] = {key: [] for key in calls}
        for turn in range(arguments.repeat):
            for (name, jobs), call in calls.items():
                outputs = [Path(folder) / f"{name[5]}{jobs}-{turn}-{kind}" for kind in ("short", "corpus")]
                inputs = (short, corpus)
                orders = [
                    [*call, target, source] if call[0] == "enhance" else [call[0], source, target, *call[1:]]
                    for source, target in zip(inputs, outputs, strict=True)
                ]
                start, _ = run(orders[0])
                total, memory = run(orders[1])
                taken[name, jobs].append((start, total - start, memory))
        print(f"{files} files, {seconds / 60:.1f} minutes of audio, medians of {arguments.repeat}\n")
        print("| command | start, s | hours of audio per core-hour | MiB per worker |\n|---|---|---|---|")
        for (name, jobs), runs in taken.items():
            start, work, memory = np.median(runs, axis=0)
            print(f"| `{name} {jobs}` | {start:.1f} | {seconds / work / jobs:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
