"""Scores as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from imse.errors import printable
from imse.score.columns import COLUMNS, EXPLAINED, NONE, notes, rows
from imse.score.run import Score


def tables(scores: Sequence[Score]) -> Iterator[Table | Text]:
    """What to print: one row for each recording that could be read, what the columns are, and warnings."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("recording", vertical="bottom", overflow="fold", min_width=16)
    for name in COLUMNS:
        # Two lines, so that a row fits into 80 columns beside a name.
        table.add_column(name.replace(" ", "\n"), justify="right", vertical="bottom", no_wrap=True)
    for score in scores:
        for name, quality in rows(score):
            cells = [show(quality) if quality else NONE for show in COLUMNS.values()]
            table.add_row(Text(printable(name)), *cells)
    yield table
    yield Text(EXPLAINED, "dim")
    for note in notes(scores):
        yield Text(printable(f"Listen to {note}"), "yellow")
