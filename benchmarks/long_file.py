"""Peak memory and speed of `imse enhance` for recordings of several lengths.

    python benchmarks/long_file.py [--weights FILE] [--minutes 1 10 60]

Each length runs in a new process, which enhances a WAV file of the repeated example.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import soundfile

from imse.bench.process import Usage, run_enhance
from imse.weights import DEFAULT

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "dishes.flac"


def measure(minutes: float, weights: str) -> Usage:
    """Resources of one process that enhances a recording of `minutes`."""
    samples, sample_rate = soundfile.read(EXAMPLE, dtype="int16")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
        with soundfile.SoundFile(source, "w", sample_rate, 1) as file:
            while file.frames < minutes * 60 * sample_rate:
                file.write(samples)
        usage = run_enhance(source, target, "--weights", weights, "--threads", "1")
        assert soundfile.info(target).frames == soundfile.info(source).frames
    return usage


def main() -> None:
    """Print a row for each length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--weights", default=DEFAULT)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60])
    arguments = parser.parse_args()
    print("| minutes | peak memory, MiB | real-time factor |\n|---|---|---|")
    for minutes in arguments.minutes:
        usage = measure(minutes, arguments.weights)
        peak = "not known" if usage.peak_mib is None else f"{usage.peak_mib:.0f}"
        print(f"| {minutes:g} | {peak} | {usage.wall_seconds / minutes / 60:.3f} |", flush=True)


if __name__ == "__main__":
    main()
