"""PESQ of several ways to cut a signal into segments and to extend short clips, on mixtures of data/train.

    python benchmarks/segments.py ../shared/data/train imse.onnx > segments.tsv

Speech and noise are drawn with a fixed seed; the test pairs are not used. docs/enhancer.md gives the results.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from pesq import PesqError, pesq

from imse.engine.onnx import OnnxEngine
from imse.signal.segments import SEGMENT, OverlappingSegments, PaperSegments, Segmentation, run_in_segments
from imse.signal.spectrum import SAMPLE_RATE, Floats

VOICES = ("vctk_nehasb", "vcc2018", "librispeech_resemblyzer")
SECONDS = {"short": (0.7, 1.8, 16), "medium": (2.5, 7.0, 12), "long": (20.0, 20.0, 3)}


@dataclass(frozen=True)
class Mixture:
    """A noisy signal [samples], its clean speech, and the class of its duration."""

    duration: str
    noisy: Floats
    clean: Floats


@dataclass(frozen=True)
class Extension(OverlappingSegments):
    """Overlapping segments with another way to extend short clips; None does not extend them."""

    mode: str | None = "symmetric"

    def extend(self, segment: Floats, samples: int) -> Floats:
        """See `imse.signal.segments.Segmentation.extend`."""
        missing = samples - len(segment)
        if self.mode is None or not missing:
            return segment
        return np.pad(segment, [(0, missing), (0, 0)], mode=self.mode)  # type: ignore[call-overload, no-any-return]


def candidates() -> dict[str, tuple[Segmentation, tuple[str, ...]]]:
    """Ways to cut signals, by name, and the durations that each is scored on."""
    longer = ("medium", "long")
    found: dict[str, tuple[Segmentation, tuple[str, ...]]] = {"paper": (PaperSegments(), ("short", *longer))}
    for name, mode in (("as it is", None), ("zeros", "constant"), ("mirror", "symmetric"), ("repeat", "wrap")):
        found[f"short: {name}"] = Extension(mode=mode), ("short",)
    for overlap in (1_600, 3_200, 6_400):
        found[f"overlap {overlap}"] = OverlappingSegments(longest=SEGMENT, overlap=overlap), ("medium",)
    for longest in (SEGMENT // 2, 2 * SEGMENT, 4 * SEGMENT, 20 * SEGMENT):
        found[f"longest {longest}"] = OverlappingSegments(min(SEGMENT, longest), longest), longer
    return found


def mixtures(folder: Path) -> Iterator[Mixture]:
    """Speech of training voices in noise at an SNR of 0 to 15 dB, in the three classes of `SECONDS`."""
    with (folder / "MANIFEST.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    rng = np.random.default_rng(7)
    speech = [row["file"] for row in rows if row["source"] in VOICES]
    noise = [row["file"] for row in rows if row["kind"] == "noise" and float(row["seconds"]) > 20]
    for duration, (shortest, longest, count) in SECONDS.items():
        for _ in range(count):
            samples = int(rng.uniform(shortest, longest) * SAMPLE_RATE)
            clean = np.zeros(0, np.float32)
            while len(clean) < samples:
                clean = np.concatenate([clean, _read(folder / rng.choice(speech))])
            start = rng.integers(len(clean) - samples + 1)
            clean = clean[start : start + samples]
            background = _read(folder / rng.choice(noise))
            start = rng.integers(max(1, len(background) - samples))
            background = np.resize(background[start:], samples)
            gain = np.sqrt(np.mean(clean**2) / np.mean(background**2)) * 10 ** (-rng.uniform(0, 15) / 20)
            yield Mixture(duration, clean + gain.astype(np.float32) * background, clean)


def score(engine: OnnxEngine, segmentation: Segmentation, mixture: Mixture) -> float:
    """Wide-band PESQ of a mixture as enhanced by the network; NaN if PESQ finds no speech."""
    scale = np.float32(1 / np.sqrt(np.mean(np.square(mixture.noisy, dtype=np.float64))))

    def network(segments: list[Floats]) -> list[Floats]:
        inputs = np.concatenate(segments, axis=1).T
        return [engine(inputs * scale).waveform.T / scale]

    noisy = mixture.noisy[:, np.newaxis]
    enhanced = np.concatenate(list(run_in_segments([noisy], len(noisy), segmentation, network)))[:, 0]
    try:
        return float(pesq(SAMPLE_RATE, mixture.clean, enhanced, "wb"))
    except PesqError:
        return float("nan")


def _read(path: Path) -> Floats:
    samples, _ = soundfile.read(path, dtype="float32")
    return np.asarray(samples)


def main() -> None:
    """Print a row for each candidate and duration."""
    folder, weights = map(Path, sys.argv[1:3])
    engine = OnnxEngine(weights)
    drawn = list(mixtures(folder))
    print("segments\tduration\tclips\tPESQ", flush=True)
    with ThreadPoolExecutor(2) as pool:
        for name, (segmentation, durations) in candidates().items():
            for duration in durations:
                chosen = [mixture for mixture in drawn if mixture.duration == duration]
                scores = np.array(list(pool.map(lambda mixture: score(engine, segmentation, mixture), chosen)))  # noqa: B023
                print(f"{name}\t{duration}\t{np.isfinite(scores).sum()}\t{np.nanmean(scores):.3f}", flush=True)


if __name__ == "__main__":
    main()
