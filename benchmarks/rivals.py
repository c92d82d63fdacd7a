"""Score imse beside other systems on the same pairs: quality, and the time of one core, of all in one run.

    python benchmarks/rivals.py PAIRS [--systems NAME ...] [--measures NAME ...] [--jobs 1] [--keep FOLDER]

PAIRS is a folder with `clean`, `noisy` and `INDEX.tsv` at 16 kHz. What to install for the other systems is said in
`benchmarks/rival_systems.py`. Those that are not installed are left out.

Systems that work at 48 kHz get the recordings resampled, and their output is resampled back; the time of this is not
counted. Each output is moved forward by the system's latency, which is the median over the recordings of the delay
against the input. Systems take turns at each recording, so that other load on the machine slows all of them alike.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from imse.processors import THREAD_VARIABLES

os.environ |= dict.fromkeys(THREAD_VARIABLES, "1")

import numpy as np
import soundfile
import soxr

from imse.errors import ImseError
from imse.evaluate import Evaluation, evaluate
from imse.evaluate.delays import delay
from imse.signal.spectrum import SAMPLE_RATE, Floats
from rival_systems import SYSTEMS, OpenSystem

MEASURES = ("pesq_wb", "stoi", "si_sdr_db")
_DIGITS = {"pesq_wb": 2, "stoi": 3, "si_sdr_db": 1, "dnsmos_ovrl": 2}


def main() -> None:
    """Run the systems, score what they make, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--measures", nargs="+", default=MEASURES)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where to keep what the systems made")
    arguments = parser.parse_args()

    systems = {name: system for name in arguments.systems if (system := opened(name))}
    noisy = {
        path.stem: soundfile.read(path, dtype="float32")[0] for path in sorted((arguments.pairs / "noisy").iterdir())
    }
    outputs, seconds = run(systems, noisy.values())
    latencies = {name: latency(noisy.values(), outputs[name]) for name in systems}
    with TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        for name in systems:
            (folder / name).mkdir(parents=True, exist_ok=True)
            for (recording, x), output in zip(noisy.items(), outputs[name], strict=True):
                soundfile.write(
                    folder / name / f"{recording}.wav", moved(output, latencies[name], len(x)), SAMPLE_RATE, "FLOAT"
                )
        evaluation = evaluate(
            arguments.pairs / "clean",
            [folder / name for name in systems],
            arguments.pairs / "noisy",
            index=arguments.pairs / "INDEX.tsv",
            measures=arguments.measures,
            jobs=arguments.jobs,
        )
    print_tables(evaluation, systems, latencies, seconds, sum(map(len, noisy.values())) / SAMPLE_RATE)


def opened(name: str) -> OpenSystem | None:
    """The system of this name, if it is installed."""
    try:
        return SYSTEMS[name].open()
    except ImseError as error:
        print(f"{name} is left out: {error}")
        return None


def run(
    systems: dict[str, OpenSystem], recordings: Iterable[Floats]
) -> tuple[dict[str, list[Floats]], dict[str, float]]:
    """What each system makes of recordings at 16 kHz, at least as long, and its processor time in seconds."""
    outputs: dict[str, list[Floats]] = {name: [] for name in systems}
    seconds = dict.fromkeys(systems, 0.0)
    for system in systems.values():
        system.start()(np.zeros(system.sample_rate, np.float32))  # what the first call loads is not counted
    for x in recordings:
        for name, system in systems.items():
            enhance = system.start()
            own = soxr.resample(x, SAMPLE_RATE, system.sample_rate)
            begin = time.process_time()
            enhanced = enhance(own)
            seconds[name] += time.process_time() - begin
            outputs[name].append(soxr.resample(enhanced, system.sample_rate, SAMPLE_RATE))
    return outputs, seconds


def latency(inputs: Iterable[Floats], outputs: Iterable[Floats]) -> int:
    """The median delay of outputs against inputs, in samples."""
    delays = (delay(x.astype(np.float64), y.astype(np.float64)) for x, y in zip(inputs, outputs, strict=True))
    return round(float(np.median([found for found in delays if found is not None])))


def moved(x: Floats, late: int, length: int) -> Floats:
    """A signal [samples] without what comes before its start, cut or padded to a length."""
    x = np.pad(x, (max(-late, 0), 0))[max(late, 0) :][:length]
    return np.pad(x, (0, length - len(x)))


def print_tables(
    evaluation: Evaluation,
    systems: dict[str, OpenSystem],
    latencies: dict[str, int],
    seconds: dict[str, float],
    audio: float,
) -> None:
    """Scores with their 95 % intervals and times, then what is known of each system."""
    print_row("system", *evaluation.measures, "CPU s per s", "of the first", "latency, ms")
    print_row(*["---"] * (len(evaluation.measures) + 4))
    first, *_ = seconds.values()
    assert evaluation.noisy is not None
    for system in (evaluation.noisy, *evaluation.enhanced):
        cells = []
        for measure in evaluation.measures:
            summary, digits = evaluation.summary(system, measure), _DIGITS.get(measure, 3)
            cells.append(f"{summary.mean:.{digits}f} [{summary.low:.{digits}f}, {summary.high:.{digits}f}]")
        name = system.name
        known = name in systems
        cells.append(f"{seconds[name] / audio:.4f}" if known else "")
        cells.append(f"{seconds[name] / first:.2f}" if known else "")
        cells.append(f"{1000 * latencies[name] / SAMPLE_RATE:.0f}" if known else "")
        print_row(name, *cells)
    print()
    print_row("system", "thousand parameters", "weights, kB", "licence", "package")
    print_row(*["---"] * 5)
    for name, opened_system in systems.items():
        known_system = SYSTEMS[name]
        size = opened_system.weights.stat().st_size / 1000
        print_row(
            name, str(known_system.thousand_parameters), f"{size:.0f}", known_system.licence, known_system.package
        )


def print_row(*cells: str) -> None:
    """Print a row of a Markdown table."""
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
