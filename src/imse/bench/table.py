"""A benchmark as tables for the terminal, at most 80 columns wide. Only the JSON has all ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from imse.bench.run import Record

# Heading, key of the row, format, and whether to show the range under the median.
_Columns = Sequence[tuple[str, str, str, bool]]
_TIMINGS: _Columns = (
    ("thr.", "threads", "d", False),
    ("CPU s\nper s", "rtf_cpu", ".3f", True),
    ("wall s\nper s", "rtf_wall", ".3f", False),
    ("x torch", "speed_up", ".2f", True),
    ("of\npeak", "peak_share", ".0%", False),
    ("as\ntorch\ndB", "agreement_db", ".0f", False),
    ("peak\nMiB", "peak_mib", ".0f", False),
)
_MODELS: _Columns = (
    ("CPU s", "start_up_cpu_seconds", ".2f", True),
    ("wall s", "start_up_wall_seconds", ".2f", True),
    ("file\nbytes", "file_bytes", ",d", False),
    ("parameters", "parameters", ",d", False),
    ("GMAC\nper s", "gmacs", ".2f", False),
)


def tables(record: Record) -> Iterator[Table | Text]:
    """Tables and lines to print: speed; files and start-up; the machine; the engines left out."""
    title = f"{record['seconds']:g} s of audio, {record['rounds']} rounds: median [smallest,largest]"
    yield _table(title, record["timings"], ("engine", "weights", "segments"), _TIMINGS)
    title = "imse enhance, 1 s of audio, 1 thread, whole process"
    yield _table(title, record["models"], ("engine", "weights"), _MODELS)
    machine = record["machine"]
    yield Text(f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}")
    yield Text(", ".join(f"{name} {version or 'not installed'}" for name, version in machine["packages"].items()))
    if record["peak_gmacs"]:
        peak = _cell(record["peak_gmacs"], ".1f", True).replace("\n", " ")
        yield Text(f"one core's peak: {peak} GMAC/s in float32")
    for engine, reason in record["left_out"].items():
        yield Text(f"{engine} left out: {reason}")


def _table(title: str, rows: Sequence[Record], names: Sequence[str], columns: _Columns) -> Table:
    table = Table("system", title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading, *_ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = (_cell(row[key], form, with_range) for _, key, form, with_range in columns)
        table.add_row(Text(" ".join(row[name] for name in names)), *cells)
    return table


def _cell(value: Any, form: str, with_range: bool) -> str:
    if value is None:
        return "-"
    if not isinstance(value, dict):
        return format(value, form)
    median, smallest, largest = (format(value[name], form) for name in ("median", "min", "max"))
    return f"{median}\n[{smallest},{largest}]" if with_range else median
