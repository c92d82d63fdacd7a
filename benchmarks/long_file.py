"""Peak memory and speed of `imse enhance` against the length of a recording.

    python benchmarks/long_file.py [--weights FILE] [--minutes 1 10 60]

Each length is a process of its own, which enhances the example over and over again to a WAV file.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "dishes.flac"


def measure(minutes: float, weights: str) -> tuple[float, float]:
    """Seconds and megabytes that one process takes for a recording of `minutes`."""
    samples, sample_rate = soundfile.read(EXAMPLE, dtype="int16")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
        with soundfile.SoundFile(source, "w", sample_rate, 1) as file:
            while file.frames < minutes * 60 * sample_rate:
                file.write(samples)
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "imse",
            "enhance",
            source,
            "-o",
            target,
            "--weights",
            weights,
            "--threads",
            "1",
        ]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        elapsed = time.perf_counter() - started
        assert soundfile.info(target).frames == soundfile.info(source).frames
    return elapsed, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Print a row for each length, shortest first: the peak is that of the largest process so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60])
    arguments = parser.parse_args()
    print("| minutes | peak memory, MB | real-time factor |\n|---|---|---|")
    for minutes in sorted(arguments.minutes):
        elapsed, megabytes = measure(minutes, arguments.weights)
        print(f"| {minutes:g} | {megabytes:.0f} | {elapsed / minutes / 60:.3f} |", flush=True)


if __name__ == "__main__":
    main()
