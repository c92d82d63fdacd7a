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
    yield f"one core's float32 matrix product: {_spread(record.product_gmacs, 1, ' ')} GMAC/s"
    for engine, reason in record.left_out.items():
        yield f"{engine} left out: {reason}"


def _spread(found: Spread | None, digits: int, between: str = "\n") -> str:
    """A median, and under it its range."""
    if found is None:
        return _NONE
    return f"{found.median:.{digits}f}{between}[{found.min:.{digits}f},{found.max:.{digits}f}]"


def _speed(record: Record) -> Table:
    # As narrow as it can be, for terminals of 80 columns; the JSON has all ranges.
    title = f"{record.seconds:g} s of audio, {record.rounds} rounds: median [smallest,largest]"
    numbers = ("thr.", "CPU s\nper s", "wall s\nper s", "x torch", "of\nmatmul", "as\ntorch\ndB", "peak\nMiB")
    table = _table(title, ("system",), numbers)
    for timing in record.timings:
        several = sum(model.engine == timing.engine for model in record.models) > 1
        weights = f" {timing.weights}" if several else ""
        table.add_row(
            Text(f"{timing.engine}{weights}, {timing.segments}"),
            str(timing.threads),
            _spread(timing.rtf_cpu, 3),
            f"{timing.rtf_wall.median:.3f}",
            _spread(timing.speed_up, 2),
            _NONE if timing.product_share is None else f"{timing.product_share:.0%}",
            _number(timing.agreement_db, 0),
            _number(timing.peak_mib, 0),
        )
    return table


def _models(record: Record) -> Table:
    numbers = ("CPU s", "wall s", "file\nMB", "parameters", "GMAC\nper s")
    table = _table("imse enhance, 1 s of audio, 1 thread, whole process", ("engine", "weights"), numbers)
    for model in record.models:
        table.add_row(
            *(Text(name) for name in (model.engine, model.weights)),
            _spread(model.start_up_cpu_seconds, 2),
            _spread(model.start_up_wall_seconds, 2),
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
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(Text(name), justify="right", no_wrap=True)
    return table
