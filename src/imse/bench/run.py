"""The benchmark: open every engine with every setting, measure them in turns, and compare them."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile

from imse import __version__, native
from imse import weights as packaged_weights
from imse.bench.process import Usage, run_enhance
from imse.bench.worker import Took, Worker, count, open_enhancer, peak
from imse.engine import ENGINES
from imse.enhancer import SEGMENTATIONS
from imse.errors import ImseError, describe
from imse.processors import processors
from imse.signal.spectrum import SAMPLE_RATE, Floats

BASELINE = "torch"  # all other engines are compared with this one, which runs the network as defined in `imse.nn`

Record = dict[str, Any]
"""Results as written to JSON; docs/performance.md describes the keys."""


@dataclass
class _Case:
    """An engine with a file and one setting. The network is None without torch, as torch counts the operations."""

    engine: str
    file: Path
    segments: str
    threads: int
    network: tuple[dict[str, Any], int, float] | None  # configuration, parameters, GMAC per second of audio
    worker: Worker
    took: list[Took] = field(default_factory=list)
    start_up: list[Usage] = field(default_factory=list)
    peak_mib: float | None = None

    def run_enhance(self, source: Path) -> Usage:
        """Run `imse enhance` with this setting."""
        options = {"weights": self.file, "engine": self.engine, "segments": self.segments, "threads": self.threads}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return run_enhance(source, source.with_suffix(".enhanced.wav"), *words)


def noisy_speech(seconds: float) -> Floats:
    """A deterministic test signal [samples] at 16 kHz: a voice of 120 Hz, four syllables per second, in white noise."""
    time = np.arange(max(1, round(seconds * SAMPLE_RATE))) / SAMPLE_RATE
    phase = 2 * np.pi * (120 * time + 2 * np.sin(2 * np.pi * time))
    voice = np.sin(4 * np.pi * time).clip(0) * sum(np.sin(k * phase) / k for k in range(1, 31))
    return np.asarray(0.1 * voice + 0.02 * np.random.default_rng(0).standard_normal(len(time)), np.float32)


def bench(
    weights: Sequence[str],
    engines: Sequence[str],
    seconds: float,
    rounds: int,
    threads: Sequence[int],
    progress: Callable[[str], None],
) -> Record:
    """Measure each engine with all weights (names or files) that it can open, and with each of `SEGMENTATIONS`.

    Results are the median, minimum and maximum over the rounds. `progress` is called with a description of every step.

    Raises:
        ImseError: Weights do not exist, no engine can open them, or a measured process ended.
        OSError: A file cannot be written.
    """
    noisy = noisy_speech(seconds)
    try:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            cases, left_out = _open(stack, weights, engines, threads, noisy, progress)
            models: dict[tuple[str, Path], _Case] = {}  # the first case of each engine and file
            for case in cases:
                models.setdefault((case.engine, case.file), case)
            peaks: list[float] = []
            multiplier = stack.enter_context(Worker(1, peak)) if native.available() else None
            whole, second = Path(folder, "whole.wav"), Path(folder, "second.wav")
            soundfile.write(whole, noisy, SAMPLE_RATE)
            soundfile.write(second, noisy_speech(1), SAMPLE_RATE)
            for case in cases:
                progress(f"memory: {case.engine}")
                case.peak_mib = case.run_enhance(whole).peak_mib
            for number in range(1, rounds + 1):
                if multiplier:
                    progress(f"round {number} of {rounds}: what the core can do")
                    peaks.append(multiplier.found / 1e9 / multiplier.turn().cpu)
                for case in models.values():
                    progress(f"round {number} of {rounds}: start-up, {case.engine}")
                    case.start_up.append(case.run_enhance(second))
                for case in cases:
                    progress(f"round {number} of {rounds}: {case.engine}, {case.segments}, threads: {case.threads}")
                    case.took.append(case.worker.turn())
    except BrokenExecutor as error:
        raise ImseError("a process that was measured ended by itself") from error
    peak_gmacs = _spread(peaks) if peaks else None
    return {
        "imse": __version__,
        "machine": describe_machine(),
        "seconds": seconds,
        "rounds": rounds,
        "peak_gmacs": peak_gmacs,
        "models": [_model(case) for case in models.values()],
        "timings": [_timing(case, cases, seconds, peak_gmacs) for case in cases],
        "left_out": left_out,
    }


def _open(
    stack: ExitStack,
    weights: Sequence[str],
    engines: Sequence[str],
    threads: Sequence[int],
    noisy: Floats,
    progress: Callable[[str], None],
) -> tuple[list[_Case], dict[str, str]]:
    """Open all cases, to be closed with the stack. Also returns the reason for each engine that opens nothing."""
    cases: list[_Case] = []
    refused: dict[str, str] = {}
    for name in dict.fromkeys(weights):
        reasons: dict[str, str] = {}
        for engine in dict.fromkeys(engines):
            progress(f"opening {name} with {engine}")
            try:
                file = packaged_weights.find(name, ENGINES[engine].suffix)
                for number in dict.fromkeys(threads):
                    for segments in SEGMENTATIONS:
                        worker = stack.enter_context(
                            Worker(number, open_enhancer, engine, file, segments, number, noisy)
                        )
                        cases.append(_Case(engine, file, segments, number, _network(file), worker))
            except (ImseError, ModuleNotFoundError, OSError) as error:
                reasons[engine] = describe(error)
        if len(reasons) == len({*engines}):
            raise ImseError("; ".join(dict.fromkeys(reasons.values())))
        refused = reasons | refused
    opened = {case.engine for case in cases}
    return cases, {engine: reason for engine, reason in refused.items() if engine not in opened}


@cache
def _network(file: Path) -> tuple[dict[str, Any], int, float] | None:
    try:
        with Worker(1, count, file) as counter:
            found: tuple[dict[str, Any], int, float] = counter.found
            return found
    except (ImseError, ModuleNotFoundError):
        return None


def _model(case: _Case) -> Record:
    _, parameters, gmacs = case.network or (None, None, None)
    cpu_seconds = [usage.cpu_seconds for usage in case.start_up if usage.cpu_seconds is not None]
    return {
        "engine": case.engine,
        "weights": case.file.name,
        "file_bytes": case.file.stat().st_size,
        "parameters": parameters,
        "gmacs": gmacs,
        "start_up_wall_seconds": _spread([usage.wall_seconds for usage in case.start_up]),
        "start_up_cpu_seconds": _spread(cpu_seconds) if cpu_seconds else None,
    }


def _timing(case: _Case, cases: Sequence[_Case], seconds: float, peak_gmacs: Record | None) -> Record:
    open_seconds, first_seconds, output = case.worker.found
    timing: Record = {
        "engine": case.engine,
        "weights": case.file.name,
        "segments": case.segments,
        "threads": case.threads,
        "rtf_cpu": _spread([took.cpu / seconds for took in case.took]),
        "rtf_wall": _spread([took.wall / seconds for took in case.took]),
        "open_seconds": open_seconds,
        "first_seconds": first_seconds,
        "speed_up": None,
        "peak_share": None,
        "agreement_db": None,
        "peak_mib": case.peak_mib,
    }
    if case.network and case.threads == 1 and peak_gmacs:
        timing["peak_share"] = case.network[2] / timing["rtf_cpu"]["median"] / peak_gmacs["median"]
    for base in cases:
        same = (base.segments, base.threads, base.network) == (case.segments, case.threads, case.network)
        if base.engine == BASELINE and same and case.network:
            # With several threads, threads that wait may use processor time: compare wall time.
            turns = zip(base.took, case.took, strict=True)
            timing["speed_up"] = _spread([a.cpu / b.cpu if case.threads == 1 else a.wall / b.wall for a, b in turns])
            expected = base.worker.found[-1].astype(float)
            if difference := float(np.sum((output - expected) ** 2)):
                timing["agreement_db"] = 10 * float(np.log10(np.sum(expected**2) / difference))
    return timing


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def describe_machine() -> Record:
    """Processor, usable cores, system and versions of this machine; None for a package that is not installed."""
    # platform.processor() is empty, or only the architecture, on most Linux systems.
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    processor = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    packages = ("numpy", "onnxruntime", "torch")
    return {
        "processor": processor or platform.processor() or platform.machine(),
        "cores": processors(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: next((found.version for found in distributions(name=name)), None) for name in packages},
    }
