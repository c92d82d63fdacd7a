"""A benchmark as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from imse.bench.record import Record, Spread

_NONE = "-"


def tables(record: Record) -> Iterator[Table | Text]:
    """What to print: speed, then files and start-up, then the machine and what was left out."""
    yield _speed(record)
    yield _models(record)
    for note in notes(record):
        yield Text(note)


def notes(record: Record) -> Iterator[str]:
    """Lines on the machine, and on each engine that was left out."""
    machine = record.machine
    packages = ", ".join(f"{name} {version or 'not installed'}" for name, version in machine.packages.items())
    yield f"{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}, {packages}"
    yield f"one core's float32 matrix product: {spread(record.product_gmacs, 1)} GMAC/s"
    for engine, reason in record.left_out.items():
        yield f"{engine} left out: {reason}"


def spread(found: Spread | None, digits: int) -> str:
    """A median with its range, as ``0.123 [0.12,0.13]``."""
    if found is None:
        return _NONE
    # Without a space: a narrow terminal puts the range whole under its median.
    return f"{found.median:.{digits}f} [{found.min:.{digits}f},{found.max:.{digits}f}]"


def _speed(record: Record) -> Table:
    title = f"{record.seconds:g} s of audio, {record.rounds} rounds: median [smallest,largest]"
    text = ("engine", "weights", "segments")
    numbers = ("threads", "CPU s per s", "wall s per s", "x torch", "of matrix\nproduct", "as torch,\ndB", "peak\nMiB")
    table = _table(title, text, numbers)
    for timing in record.timings:
        table.add_row(
            *(Text(name) for name in (timing.engine, timing.weights, timing.segments)),
            str(timing.threads),
            spread(timing.rtf_cpu, 3),
            spread(timing.rtf_wall, 3),
            spread(timing.speed_up, 2),
            _NONE if timing.product_share is None else f"{timing.product_share:.0%}",
            _number(timing.agreement_db, 0),
            _number(timing.peak_mib, 0),
        )
    return table


def _models(record: Record) -> Table:
    numbers = ("CPU s", "wall s", "MB of file", "parameters", "GMAC per s")
    table = _table("imse enhance, 1 s of audio, 1 thread, whole process", ("engine", "weights"), numbers)
    for model in record.models:
        table.add_row(
            *(Text(name) for name in (model.engine, model.weights)),
            spread(model.start_up_cpu_seconds, 2),
            spread(model.start_up_wall_seconds, 2),
            f"{model.file_bytes / 1e6:.2f}",
            _NONE if model.parameters is None else f"{model.parameters:,}",
            _number(model.gmacs, 2),
        )
    return table


def _number(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _table(title: str, text: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=Text(title, "bold"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in text:
        table.add_column(name, vertical="bottom", overflow="fold")
    for name in numbers:
        table.add_column(Text(name), justify="right", vertical="bottom", overflow="fold")
    return table
