"""How often `imse score` warns: of enhanced mixtures of the training corpora, and of the same with harm done to them.

    python benchmarks/score_warnings.py --data DATA/train

prints the table in docs/score.md. The mixtures are 9.1 s long, so that DNSMOS rates one window of each.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from numpy.typing import NDArray

from imse.enhancer import Enhancer
from imse.score.harm import compare, warnings
from imse.score.recording import Recording, measure

RATE = 16_000
LENGTH = round(9.1 * RATE)
SNRS_DB = (-5, 0, 5, 10, 15, 20)
KINDS = {"clear speech": "speech lost", "SIG": "SIG falls", "OVRL": "OVRL falls"}

Floats = NDArray[np.float32]


def excerpt(files: list[Path], random: np.random.Generator) -> Floats:
    """A part of a file that is not silent, repeated where the file is shorter."""
    while True:
        samples, _ = soundfile.read(files[random.integers(len(files))], dtype="float32")
        samples = np.tile(samples, -(-LENGTH // len(samples)))
        start = random.integers(len(samples) - LENGTH + 1)
        if np.mean(samples[start : start + LENGTH] ** 2) > 1e-7:
            return np.asarray(samples[start : start + LENGTH])


def with_holes(signal: Floats, random: np.random.Generator) -> Floats:
    """A fifth of a second is 30 dB weaker, at one and a half random places each second."""
    signal = signal.copy()
    for start in random.integers(0, LENGTH - RATE // 5, int(1.5 * LENGTH / RATE)):
        signal[start : start + RATE // 5] *= 10 ** (-30 / 20)
    return signal


def gated(signal: Floats) -> Floats:
    """Nothing is left but the loudest quarter of frames of 20 ms."""
    frames = signal[: LENGTH // 320 * 320].reshape(-1, 320)
    power = np.convolve(np.mean(frames**2, axis=1), np.ones(5) / 5, "same")
    is_open = np.repeat(power > np.percentile(power, 75), 320)
    return signal * np.pad(is_open, (0, LENGTH - len(is_open))).astype(np.float32)


def recording(signal: Floats) -> Recording:
    """What is measured of a signal."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.wav")
        soundfile.write(path, signal, RATE, "FLOAT")
        return measure(path)


def main() -> None:
    """Make the mixtures, score them, and print the share of warnings by version and SNR."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with MANIFEST.tsv: file, kind, source")
    parser.add_argument("--mixtures", type=int, default=36)
    arguments = parser.parse_args()
    with (arguments.data / "MANIFEST.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    noises = [arguments.data / row["file"] for row in rows if row["kind"] == "noise"]
    voices: dict[str, list[Path]] = {}
    for row in rows:
        if row["kind"] == "speech":
            voices.setdefault(row["source"], []).append(arguments.data / row["file"])
    random = np.random.default_rng(0)
    enhancers = {name: Enhancer(name) for name in ("default", "small")}
    counts: Counter[tuple[str, str, str]] = Counter()
    for k in range(arguments.mixtures):
        snr_db = SNRS_DB[k % len(SNRS_DB)]
        speech = excerpt(list(voices.values())[k // len(SNRS_DB) % len(voices)], random)
        noise = excerpt(noises, random)
        mixed = speech + noise * np.sqrt(np.mean(speech**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
        mixed = np.asarray(0.5 * mixed / np.abs(mixed).max(), np.float32)
        versions = {name: np.asarray(enhancer.enhance(mixed, RATE)) for name, enhancer in enhancers.items()}
        versions["default, with holes"] = with_holes(versions["default"], random)
        versions["default, gated"] = gated(versions["default"])
        before = recording(mixed)
        group = "at 0 dB or less" if snr_db <= 0 else "at 5 dB or more"
        for name, signal in versions.items():
            after = recording(signal)
            found = warnings(before.quality, after.quality, compare(before, after))
            counts[name, group, "files"] += 1
            counts[name, group, "any"] += bool(found)
            for words, kind in KINDS.items():
                counts[name, group, kind] += any(words in warning for warning in found)
    columns = ["any", *KINDS.values()]
    print("|".join(["", " SNR ", " version ", " files ", *(f" {column} " for column in columns), ""]))
    for name, group in sorted({(name, group) for name, group, _ in counts}, key=lambda row: row[::-1]):
        cells = [group, name, *(str(counts[name, group, column]) for column in ("files", *columns))]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
