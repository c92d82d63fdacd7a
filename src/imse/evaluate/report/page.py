"""The page and its sections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from html import escape
from importlib.resources import files
from pathlib import Path

from imse import __version__
from imse.evaluate.measures import MEASURES
from imse.evaluate.report.charts import Point, box_plot, scatter
from imse.evaluate.report.examples import HEADLINES, example, worst
from imse.evaluate.results import Comparison, Evaluation, Summary, System
from imse.evaluate.tables import notes, title
from imse.evaluate.writers import write_text

_COLOURS = 6
# Nothing may be fetched: the browser itself enforces that the page is self-contained.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

_LISTENING = (
    "<p>Click into a spectrogram to listen from there. Starting another version of the same file goes on at the same "
    "moment.</p>"
)


def write_report(evaluation: Evaluation, path: Path) -> None:
    """Write an evaluation as one HTML page that fetches nothing, whole or not at all."""
    write_text(_page(evaluation), path)


def _page(evaluation: Evaluation) -> str:
    resources = files("imse.evaluate.report")
    names = ", ".join(system.name for system in evaluation.enhanced)
    facts = [f"{len(evaluation.pairs)} files", f"{len(evaluation.measures)} measures", f"imse {__version__}"]
    facts.append(f"{date.today():%d %B %Y}")
    sections = [
        section(evaluation) for section in (_headline, _means, _boxes, _gain, _cells, _comparisons, _notes, _worst)
    ]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(names)}: speech enhancement evaluated</title>
<style>
{resources.joinpath("style.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<h1>Speech enhancement, evaluated</h1>
<p class="soft">{" · ".join(facts)}</p>
<p>{_legend(evaluation)}</p>
{"".join(sections)}
<script>
{resources.joinpath("player.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""


def _colours(evaluation: Evaluation) -> Iterator[tuple[System, str]]:
    """Each system with the class of its colour."""
    if evaluation.noisy:
        yield evaluation.noisy, "noisy"
    for position, system in enumerate(evaluation.enhanced):
        yield system, f"s{position % _COLOURS}"


def _legend(evaluation: Evaluation) -> str:
    return "".join(_key(system, colour) for system, colour in _colours(evaluation))


def _key(system: System, colour: str) -> str:
    return f'<span class="key {colour}"><span>{escape(system.name)}</span></span>'


def _headline(evaluation: Evaluation) -> str:
    """Each system's best-known measures, large."""
    rows = []
    for system, colour in _colours(evaluation):
        if system is not evaluation.noisy:
            cards = "".join(_card(evaluation, system, name) for name in HEADLINES if name in evaluation.measures)
            key = f"<h3>{_key(system, colour)}</h3>" if len(evaluation.enhanced) > 1 else ""
            rows.append(f'{key}<div class="headline">{cards}</div>')
    return "".join(rows)


def _card(evaluation: Evaluation, system: System, measure: str) -> str:
    mean = evaluation.summary(system, measure).mean
    before = evaluation.summary(evaluation.noisy, measure).mean if evaluation.noisy else None
    change = "" if before is None else f"<small>noisy input: {before:#.3g}</small>"
    shown = "none" if mean is None else f"{mean:#.3g}"
    return f'<div class="card"><span class="soft">{escape(title(measure))}</span><b>{shown}</b>{change}</div>'


def _means(evaluation: Evaluation) -> str:
    rows = [
        (title(measure), [_mean_and_missing(evaluation.summary(system, measure)) for system in evaluation.systems])
        for measure in evaluation.measures
    ]
    return (
        "<h2>Means</h2><p>Over all files with a score, with the 95 % bootstrap interval. "
        "An arrow shows where better is.</p>"
        + _table(["measure", *(escape(system.name) for system in evaluation.systems)], rows)
    )


def _mean_and_missing(summary: Summary) -> str:
    missing = sum(summary.missing.values())
    return _mean(summary) + (f"<small>{missing} missing</small>" if missing else "")


def _mean(summary: Summary | Comparison, sign: str = "") -> str:
    if summary.mean is None:
        return "none"
    interval = f"{summary.low:{sign}.3f} to {summary.high:{sign}.3f}" if None not in (summary.low, summary.high) else ""
    return f"{summary.mean:{sign}.3f}<small>{interval}</small>"


def _boxes(evaluation: Evaluation) -> str:
    figures = []
    for measure in evaluation.measures:
        groups = [
            (colour, [file.values[measure] for file in system.files if measure in file.values])
            for system, colour in _colours(evaluation)
        ]
        if plot := box_plot(f"{MEASURES[measure].label} of each system", groups):
            figures.append(f'<figure class="card"><figcaption>{escape(title(measure))}</figcaption>{plot}</figure>')
    return (
        "<h2>Distributions</h2><p>Box: quartiles and median over files. Whiskers: the furthest files within "
        f'1.5 heights of the box; dots: files beyond.</p><div class="plots">{"".join(figures)}</div>'
    )


def _gain(evaluation: Evaluation) -> str:
    """PESQ gained over the noisy input, against the input's SNR: the index's, else measured as SI-SDR."""
    heading = "<h2>PESQ gain against input SNR</h2>"
    noisy = evaluation.noisy
    if not noisy or "pesq_wb" not in evaluation.measures:
        return f"{heading}<p>Needs the noisy recordings and wide-band PESQ.</p>"
    indexed = bool(evaluation.cells)
    snrs_db = [
        pair.snr_db if indexed else file.values.get("si_sdr_db")
        for pair, file in zip(evaluation.pairs, noisy.files, strict=True)
    ]
    groups = [
        (colour, _gains(noisy, system, snrs_db)) for system, colour in _colours(evaluation) if system is not noisy
    ]
    label = "input SNR, dB" if indexed else "SI-SDR of the noisy input, dB"
    plot = scatter("PESQ gain against input SNR", label, groups)
    if not plot:
        return f"{heading}<p>Needs files with wide-band PESQ and an input SNR: an index with snr_db, or SI-SDR.</p>"
    explained = "Each dot is a file: its wide-band PESQ minus that of the noisy input. Line: mean."
    return f'{heading}<p>{explained}</p><div class="card scatter">{plot}</div>'


def _gains(noisy: System, system: System, snrs_db: Sequence[float | None]) -> list[Point]:
    points = []
    for before, after, snr_db in zip(noisy.files, system.files, snrs_db, strict=True):
        if snr_db is not None and "pesq_wb" in before.values.keys() & after.values:
            gain = after.values["pesq_wb"] - before.values["pesq_wb"]
            points.append(Point(snr_db, gain, f"{after.id}, {system.name}: {gain:+.2f} at {snr_db:.1f} dB"))
    return points


def _cells(evaluation: Evaluation) -> str:
    if not evaluation.cells:
        return ""
    parts = ["<h2>Means by input SNR</h2>"]
    heads = [f"{label}<br><small>{len(where)} files</small>" for label, where in evaluation.cells.items()]
    for system, colour in _colours(evaluation):
        rows = []
        for measure in evaluation.measures:
            summary = evaluation.summary(system, measure)
            means = [*summary.cells.values(), summary.mean_of_cells]
            rows.append((title(measure), ["none" if mean is None else f"{mean:.3f}" for mean in means]))
        table = _table(["measure", *heads, "mean of these"], rows)
        shown = "" if system is evaluation.noisy else " open"
        parts.append(f"<details{shown}><summary>{_key(system, colour)}</summary>{table}</details>")
    return "".join(parts)


def _comparisons(evaluation: Evaluation) -> str:
    rows = [
        (
            title(measure),
            [
                escape(comparison.second),
                escape(comparison.first),
                _mean(comparison, "+"),
                str(comparison.wins),
                str(comparison.losses),
            ],
        )
        for measure in evaluation.measures
        for comparison in evaluation.comparisons(measure)
    ]
    if not rows:
        return ""
    heads = ["measure", "of", "over", "mean difference", "better in", "worse in"]
    return (
        "<h2>File by file</h2><p>Mean difference between two systems over the files that both have scores of, "
        "with the 95 % bootstrap interval, and the number of files in which the first is better or worse.</p>"
        + _table(heads, rows, "names")
    )


def _notes(evaluation: Evaluation) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes(evaluation))
    return f"<h2>Missing scores and delays</h2><p>A missing score is part of no mean.</p><ul>{items}</ul>"


def _worst(evaluation: Evaluation) -> str:
    measure = evaluation.measures[0]
    parts = [f"<h2>The worst files by {escape(MEASURES[measure].label)}</h2>", _LISTENING]
    for system, colour in _colours(evaluation):
        if system is not evaluation.noisy:
            parts.append(f"<h3>{_key(system, colour)}</h3>")
            parts += [example(evaluation, system, position, colour) for position in worst(system, measure)]
    return "".join(parts)


def _table(heads: list[str], rows: list[tuple[str, list[str]]], style: str = "") -> str:
    """A table; on a phone, where the columns have no room, each cell has the head of its column beside it."""
    head = "".join(f"<th>{name}</th>" for name in heads)
    labels = [re.sub(r"<[^>]*>", "", name.replace("<br>", ", ")) for name in heads[1:]]
    body = "".join(f"<tr><th>{escape(name)}</th>{_numbers(labels, cells)}</tr>" for name, cells in rows)
    table = f'<table class="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="wide card">{table}</div>'


def _numbers(labels: list[str], cells: list[str]) -> str:
    return "".join(
        f'<td data-head="{label}"><span>{cell}</span></td>' for label, cell in zip(labels, cells, strict=True)
    )
