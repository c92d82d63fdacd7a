"""An evaluation as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from imse.errors import printable
from imse.evaluate.delays import describe_delays
from imse.evaluate.measures import MEASURES
from imse.evaluate.results import Comparison, Evaluation, Summary, System

_ARROWS = {"higher": "↑", "lower": "↓", "zero": "→ 0"}


def tables(evaluation: Evaluation) -> Iterator[NumberTable | Text]:
    """What to print: means with intervals, means by input SNR, comparisons, and what to know about the files."""
    yield _means(evaluation)
    if evaluation.cells:
        for system in evaluation.systems:
            yield _cells(evaluation, system)
    yield from _comparisons(evaluation)
    for note in notes(evaluation):
        yield Text(printable(note))


def title(measure: str) -> str:
    """A measure's name with its unit, and an arrow to where better is."""
    found = MEASURES[measure]
    return f"{found.label}{f', {found.unit}' if found.unit else ''} {_ARROWS[found.better]}"


def mean_with_interval(summary: Summary | Comparison, sign: str = "") -> str:
    """A mean with its interval, as ``3.213 [3.10,3.32]``."""
    if summary.mean is None:
        return "none"
    mean = f"{summary.mean:{sign}.3f}"
    if summary.low is None or summary.high is None:
        return mean
    low, high = (f"{end:{sign}.{3 if abs(summary.mean) < 1 else 2}f}" for end in (summary.low, summary.high))
    return f"{mean} [{low},{high}]"  # no space in it: a narrow terminal puts it whole under its mean


def notes(evaluation: Evaluation) -> list[str]:
    """Sentences on missing scores and on delays, one for each finding."""
    lines = []
    for system in evaluation.systems:
        for measure in evaluation.measures:
            for reason, count in evaluation.summary(system, measure).missing.items():
                lines.append(f"{system.name}: {MEASURES[measure].label} is missing for {_files(count)}: {reason}")
        delays = {file.id: file.delay_samples for file in system.files}
        lines.append(f"{system.name}: {describe_delays(delays, evaluation.aligned)}")
        if evaluation.aligned and any(file.cut_samples for file in system.files):
            most = max(system.files, key=lambda file: file.cut_samples)
            lines.append(
                f"{system.name}: up to {most.cut_samples} samples at 16 kHz of a clean file have no counterpart "
                f"and were not scored ({most.id})"
            )
    return lines


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


class NumberTable:
    """A table of measures whose numbers are never split: it is printed in parts where the terminal is too narrow.

    Args:
        title: Text above it.
        heads: Names of the columns after the first; a long one is folded.
    """

    def __init__(self, title: str, heads: Sequence[str]) -> None:
        self._title = title
        self._heads = heads
        self._rows: list[Sequence[str]] = []

    def add_row(self, measure: str, cells: Sequence[str]) -> None:
        """Add the cells of a measure, one for each head; they are broken at spaces only."""
        self._rows.append((title(measure), *cells))

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or its parts with as many columns as fit."""
        columns = [list(column) for column in zip(("measure", *self._heads), *self._rows, strict=True)]
        names, numbers = columns[0], columns[1:]
        room = options.max_width - max(map(len, names)) - 2
        heading = self._title
        start = 0
        while start < len(numbers):
            stop, wanted = start + 1, _least(numbers[start])
            while stop < len(numbers) and (wanted := wanted + _least(numbers[stop])) <= room:
                stop += 1
            yield _table(heading, names, numbers[start:stop], room)
            heading, start = f"{self._title}, continued", stop


_GAP = 3  # between columns
_HEAD = 8  # characters of a head that are not folded


def _least(column: Sequence[str]) -> int:
    """Width of a column whose cells are broken at spaces, with the gap before it."""
    head, *cells = ([len(word) for word in cell.split()] for cell in column)
    return max(min(max(head), _HEAD), *(max(words) for words in cells)) + _GAP


def _widest(column: Sequence[str]) -> int:
    """Width of a column with the gap before it, without any break but those in its cells."""
    return max(len(line) for cell in column for line in cell.splitlines()) + _GAP


def _table(title: str, names: Sequence[str], numbers: Sequence[Sequence[str]], room: int) -> Table:
    width = _widest if sum(map(_widest, numbers)) <= room else _least
    # As Text: the names of folders are no markup.
    table = Table(
        title=Text(printable(title), "bold"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1)
    )
    table.add_column(names[0], vertical="bottom", no_wrap=True)
    for head, *cells in numbers:
        table.add_column(
            Text(head), justify="right", vertical="bottom", overflow="fold", width=width([head, *cells]) - _GAP
        )
    for row in list(zip(names, *numbers, strict=True))[1:]:
        table.add_row(*row)
    return table


def _means(evaluation: Evaluation) -> NumberTable:
    names = [printable(system.name) for system in evaluation.systems]
    table = NumberTable(f"{_files(len(evaluation.pairs))}: mean [95 % interval]", names)
    for measure in evaluation.measures:
        table.add_row(measure, [_cell(evaluation.summary(system, measure)) for system in evaluation.systems])
    return table


def _cell(summary: Summary) -> str:
    missing = sum(summary.missing.values())
    return mean_with_interval(summary) + (f" ({missing} missing)" if missing else "")


def _cells(evaluation: Evaluation, system: System) -> NumberTable:
    heads = [f"{label}\n{_files(len(positions))}" for label, positions in evaluation.cells.items()]
    table = NumberTable(f"{system.name}: mean by input SNR", [*heads, "mean of\nthese"])
    for measure in evaluation.measures:
        summary = evaluation.summary(system, measure)
        means = [*summary.cells.values(), summary.mean_of_cells]
        table.add_row(measure, ["none" if mean is None else f"{mean:.3f}" for mean in means])
    return table


def _comparisons(evaluation: Evaluation) -> Iterator[NumberTable]:
    """One table for each two systems."""
    by_systems: dict[tuple[str, str], list[Comparison]] = {}
    for measure in evaluation.measures:
        for comparison in evaluation.comparisons(measure):
            by_systems.setdefault((comparison.first, comparison.second), []).append(comparison)
    for (first, second), comparisons in by_systems.items():
        heads = ["mean difference [95 % interval]", "files better", "worse"]
        table = NumberTable(f"{second} minus {first}, file by file", heads)
        for found in comparisons:
            table.add_row(found.measure, [mean_with_interval(found, "+"), str(found.wins), str(found.losses)])
        yield table
