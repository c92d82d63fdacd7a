"""The benchmark: everything is opened, takes turns, and is put side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from imse import __version__
from imse import weights as packaged_weights
from imse.bench.machine import describe_machine
from imse.bench.process import Usage, enhance_file
from imse.bench.record import Model, Record, Spread, Timing
from imse.bench.signal import noisy_speech
from imse.bench.tasks import PRODUCT_SIZE, PRODUCTS_PER_TURN
from imse.bench.worker import Took, Worker
from imse.engine import ENGINES
from imse.enhancer import SEGMENTATIONS
from imse.errors import ImseError
from imse.signal.spectrum import SAMPLE_RATE

BASELINE = "torch"
"""The engine that all others are compared with: it runs the network as it is defined."""

_GMACS_PER_TURN = PRODUCTS_PER_TURN * PRODUCT_SIZE**3 / 1e9

Progress = Callable[[str, int, int], None]
"""Called with what is done next, the number of steps done, and that of all; the latter is 0 while it is not known."""


@dataclass
class _Timed:
    """What is timed, and what its turns took."""

    worker: Worker
    segments: str
    threads: int
    output: Path
    took: list[Took] = field(default_factory=list)
    peak_mib: float | None = None


@dataclass
class _Opened:
    """A file that an engine opened."""

    engine: str
    file: Path
    timed: list[_Timed]
    count: dict[str, Any]
    start_up: list[Usage] = field(default_factory=list)


def bench(
    weights: Sequence[str] = ("default",),
    seconds: float = 10.0,
    rounds: int = 5,
    threads: Sequence[int] = (1,),
    progress: Progress = lambda _next, _done, _total: None,
) -> Record:
    """Measure every engine with all of the weights that it can open, and every way of cutting segments.

    Args:
        weights: Names of weights in the package, or files.
        seconds: Length of the signal, above 0.
        rounds: Turns of everything; what is found are medians over them, with the smallest and largest.
        threads: Numbers of processor threads.
        progress: Told of every step; what it raises ends the benchmark.

    Raises:
        ImseError: Weights that are not there, or that no engine could open.
        OSError: The disk.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        opening = _Opening(stack, folder, seconds, list(dict.fromkeys(threads)), progress)
        opened, left_out = opening.open_all(list(dict.fromkeys(weights)))
        product, product_took = stack.enter_context(Worker("product", 1, {})), []

        whole, second, target = folder / "whole.wav", folder / "second.wav", folder / "enhanced.wav"
        soundfile.write(whole, noisy_speech(seconds), SAMPLE_RATE)
        soundfile.write(second, noisy_speech(1), SAMPLE_RATE)
        every = [timed for model in opened for timed in model.timed]
        total = len(every) + rounds * (1 + len(opened) + len(every))
        steps = iter(range(total))
        for model in opened:
            for timed in model.timed:
                progress(f"memory: {model.engine}", next(steps), total)
                timed.peak_mib = enhance_file(whole, target, *_options(model, timed)).peak_mib
        for number in range(1, rounds + 1):
            turn = f"round {number} of {rounds}: "
            progress(f"{turn}matrix product", next(steps), total)
            product_took.append(product.turn())
            for model in opened:
                progress(f"{turn}start-up, {model.engine}", next(steps), total)
                model.start_up.append(enhance_file(second, target, *_options(model, model.timed[0])))
                for timed in model.timed:
                    progress(f"{turn}{_label(model.engine, timed.segments, timed.threads)}", next(steps), total)
                    timed.took.append(timed.worker.turn())
        product_gmacs = Spread.of([_GMACS_PER_TURN / took.cpu for took in product_took])
        return Record(
            imse=__version__,
            machine=describe_machine(),
            seconds=seconds,
            rounds=rounds,
            product_gmacs=product_gmacs,
            models=[_model(model) for model in opened],
            timings=list(_timings(opened, seconds, product_gmacs.median)),
            left_out=left_out,
        )


@dataclass
class _Opening:
    """How what is timed is opened: each in a process of its own, which ends with the stack."""

    stack: ExitStack
    folder: Path
    seconds: float
    threads: Sequence[int]
    progress: Progress

    def open_all(self, weights: Sequence[str]) -> tuple[list[_Opened], dict[str, str]]:
        """Everything that can be opened, and for each engine that opens nothing why."""
        opened: list[_Opened] = []
        reasons: dict[str, str] = {}
        for name in weights:
            found = {engine: self._open(engine, name) for engine in ENGINES}
            refused = {engine: str(error) for engine, error in found.items() if isinstance(error, ImseError)}
            if len(refused) == len(found):
                raise ImseError("; ".join(dict.fromkeys(refused.values())))
            opened += [model for model in found.values() if not isinstance(model, ImseError)]
            reasons = refused | reasons
        used = {model.engine for model in opened}
        return opened, {engine: reason for engine, reason in reasons.items() if engine not in used}

    def _open(self, engine: str, name: str) -> _Opened | ImseError:
        """The file of that name opened by an engine with all settings, or why it cannot be."""
        try:
            file = packaged_weights.find(name, ENGINES[engine].suffix)
            timed = [
                self._start(engine, file, segments, threads) for threads in self.threads for segments in SEGMENTATIONS
            ]
        except ImseError as error:
            return error
        return _Opened(engine, file, timed, _count(file))

    def _start(self, engine: str, file: Path, segments: str, threads: int) -> _Timed:
        self.progress(f"opening {_label(engine, segments, threads)}", 0, 0)
        output = self.folder / f"{file.name}-{engine}-{segments}-{threads}.npy"
        arguments = {
            "engine": engine,
            "weights": str(file),
            "segments": segments,
            "threads": threads,
            "seconds": self.seconds,
            "output": str(output),
        }
        worker = self.stack.enter_context(Worker("enhance", threads, arguments))
        return _Timed(worker, segments, threads, output)


def _count(file: Path) -> dict[str, Any]:
    """Network, parameters and multiply-accumulates of a file; nothing where torch is missing, which counts them."""
    try:
        with Worker("count", 1, {"weights": str(file)}) as worker:
            return worker.found
    except ImseError:
        return {}


def _label(engine: str, segments: str, threads: int) -> str:
    return f"{engine}, {segments}, {threads} thread{'s' if threads > 1 else ''}"


def _options(model: _Opened, timed: _Timed) -> list[str]:
    options = {"weights": model.file, "engine": model.engine, "segments": timed.segments, "threads": timed.threads}
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def _model(opened: _Opened) -> Model:
    cpu = [usage.cpu_seconds for usage in opened.start_up if usage.cpu_seconds is not None]
    return Model(
        engine=opened.engine,
        weights=opened.file.name,
        file_bytes=opened.file.stat().st_size,
        parameters=opened.count.get("parameters"),
        gmacs=opened.count.get("gmacs"),
        start_up_wall_seconds=Spread.of([usage.wall_seconds for usage in opened.start_up]),
        start_up_cpu_seconds=Spread.of(cpu) if cpu else None,
    )


def _timings(opened: Sequence[_Opened], seconds: float, product_gmacs: float) -> Iterator[Timing]:
    for model in opened:
        for timed in model.timed:
            base = _baseline(opened, model, timed)
            rtf_cpu = Spread.of([took.cpu / seconds for took in timed.took])
            gmacs = model.count.get("gmacs") if timed.threads == 1 else None
            yield Timing(
                engine=model.engine,
                weights=model.file.name,
                segments=timed.segments,
                threads=timed.threads,
                rtf_cpu=rtf_cpu,
                rtf_wall=Spread.of([took.wall / seconds for took in timed.took]),
                open_seconds=timed.worker.found["open_seconds"],
                first_seconds=timed.worker.found["first_seconds"],
                speed_up=_speed_up(base, timed) if base else None,
                product_share=gmacs / rtf_cpu.median / product_gmacs if gmacs else None,
                agreement_db=_agreement_db(base, timed) if base else None,
                peak_mib=timed.peak_mib,
            )


def _baseline(opened: Sequence[_Opened], model: _Opened, timed: _Timed) -> _Timed | None:
    """What the torch engine does with the same network, segments and threads."""
    for base in opened:
        if base.engine == BASELINE and base.count and base.count["network"] == model.count["network"]:
            for other in base.timed:
                if (other.segments, other.threads) == (timed.segments, timed.threads):
                    return other
    return None


def _speed_up(base: _Timed, timed: _Timed) -> Spread:
    pairs = zip(base.took, timed.took, strict=True)
    return Spread.of([a.cpu / b.cpu if timed.threads == 1 else a.wall / b.wall for a, b in pairs])


def _agreement_db(base: _Timed, timed: _Timed) -> float | None:
    expected, output = (np.load(each.output).astype(np.float64) for each in (base, timed))
    difference = np.sum((output - expected) ** 2)
    return float(10 * np.log10(np.sum(expected**2) / difference)) if difference else None
