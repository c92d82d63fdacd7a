"""An evaluation as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from imse.errors import printable
from imse.evaluate.delays import describe_delays
from imse.evaluate.measures import MEASURES
from imse.evaluate.results import Comparison, Evaluation, Summary, System

_ARROWS = {"higher": "↑", "lower": "↓", "zero": "→ 0"}


def tables(evaluation: Evaluation) -> Iterator[Table | Text]:
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
    return f"{mean} [{low},{high}]"  # without a space: a narrow terminal puts the interval whole under its mean


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


def _table(title: str, text: str, numbers: Sequence[str]) -> Table:
    # As Text: the names of folders are no markup.
    table = Table(
        title=Text(printable(title), "bold"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1)
    )
    table.add_column(text, vertical="bottom", no_wrap=True)
    for name in numbers:
        table.add_column(Text(name), justify="right", vertical="bottom", overflow="fold")
    return table


def _means(evaluation: Evaluation) -> Table:
    names = [printable(system.name) for system in evaluation.systems]
    table = _table(f"{_files(len(evaluation.pairs))}: mean [95 % interval]", "measure", names)
    for measure in evaluation.measures:
        summaries = [evaluation.summary(system, measure) for system in evaluation.systems]
        table.add_row(title(measure), *(_cell(summary) for summary in summaries))
    return table


def _cell(summary: Summary) -> str:
    missing = sum(summary.missing.values())
    return mean_with_interval(summary) + (f" ({missing} missing)" if missing else "")


def _cells(evaluation: Evaluation, system: System) -> Table:
    heads = [f"{label}\n{_files(len(positions))}" for label, positions in evaluation.cells.items()]
    table = _table(f"{system.name}: mean by input SNR", "measure", [*heads, "mean of\nthese"])
    for measure in evaluation.measures:
        summary = evaluation.summary(system, measure)
        means = [*summary.cells.values(), summary.mean_of_cells]
        table.add_row(title(measure), *("none" if mean is None else f"{mean:.3f}" for mean in means))
    return table


def _comparisons(evaluation: Evaluation) -> Iterator[Table]:
    """One table for each two systems."""
    by_systems: dict[tuple[str, str], list[Comparison]] = {}
    for measure in evaluation.measures:
        for comparison in evaluation.comparisons(measure):
            by_systems.setdefault((comparison.first, comparison.second), []).append(comparison)
    for (first, second), comparisons in by_systems.items():
        heads = ["mean difference [95 % interval]", "files better", "worse"]
        table = _table(f"{second} minus {first}, file by file", "measure", heads)
        for found in comparisons:
            table.add_row(title(found.measure), mean_with_interval(found, "+"), str(found.wins), str(found.losses))
        yield table
