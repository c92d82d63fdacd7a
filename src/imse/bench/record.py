"""What a benchmark found, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from imse.atomic_write import atomic_write


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of what the rounds measured."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Machine:
    """Where it was measured.

    Attributes:
        processor: Its model.
        cores: Processors that the benchmark could use.
        system: Operating system and architecture.
        python: Version.
        packages: Versions of numpy, onnxruntime and torch; None for one that is not installed.
    """

    processor: str
    cores: int
    system: str
    python: str
    packages: dict[str, str | None]


@dataclass(frozen=True)
class Model:
    """Weights opened by an engine, and `imse enhance` of a file of one second with them, as a whole process.

    Attributes:
        engine: One of `imse.engine.ENGINES`.
        weights: Name of the file.
        file_bytes: Its size.
        parameters: Trainable parameters of the network; None where torch is missing, which counts them.
        gmacs: Billions of multiply-accumulates of the network per second of audio; None likewise.
        start_up_wall_seconds: From the process's start to its end, on one thread.
        start_up_cpu_seconds: Its processor time; None where the system does not tell.
    """

    engine: str
    weights: str
    file_bytes: int
    parameters: int | None
    gmacs: float | None
    start_up_wall_seconds: Spread
    start_up_cpu_seconds: Spread | None


@dataclass(frozen=True)
class Timing:
    """One model with one way of cutting segments, on a number of threads.

    Attributes:
        engine: As of the model.
        weights: As of the model.
        segments: One of `imse.enhancer.SEGMENTATIONS`.
        threads: Processor threads.
        rtf_cpu: Seconds of processor time, of all threads together, per second of audio.
        rtf_wall: Seconds that pass per second of audio.
        open_seconds: What opening the weights took, imports included.
        first_seconds: What the first call took, which is in no round.
        speed_up: Time of the torch engine with the same network, segments and threads over this one's, round by round:
            processor time on one thread; the time that passes on several, whose waiting for each other may count as
            processor time. None without such a one.
        product_share: Multiply-accumulates per second of processor time, over those that the core does in a matrix
            product; None on more than one thread, or where the network's are not known.
        agreement_db: Power of the torch engine's output over that of the difference from it; None without one, or
            without difference.
        peak_mib: Peak memory of `imse enhance` of the whole signal, in MiB; None where the system does not tell.
    """

    engine: str
    weights: str
    segments: str
    threads: int
    rtf_cpu: Spread
    rtf_wall: Spread
    open_seconds: float
    first_seconds: float
    speed_up: Spread | None
    product_share: float | None
    agreement_db: float | None
    peak_mib: float | None


@dataclass(frozen=True)
class Record:
    """Everything that a benchmark found.

    Attributes:
        imse: Version of the package.
        machine: Where.
        seconds: Length of the signal.
        rounds: Turns of everything that was timed.
        product_gmacs: Billions of multiply-accumulates per second of processor time of numpy's float32 matrix product,
            on one thread.
        models: What was opened.
        timings: What was timed.
        left_out: One line for each engine that opened nothing, by its name.
    """

    imse: str
    machine: Machine
    seconds: float
    rounds: int
    product_gmacs: Spread
    models: list[Model]
    timings: list[Timing]
    left_out: dict[str, str]

    def write(self, path: Path) -> None:
        """Write all of it as JSON, whole or not at all."""
        with atomic_write(path) as file:
            file.write(json.dumps(asdict(self), indent=1, allow_nan=False).encode())
