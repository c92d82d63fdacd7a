"""The page and its sections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from imse.evaluate.measures import MEASURES
from imse.evaluate.report.charts import Point, box_plot, scatter
from imse.evaluate.report.document import LISTENING, document, table
from imse.evaluate.report.examples import HEADLINES, example, worst
from imse.evaluate.results import Comparison, Evaluation, Summary, System
from imse.evaluate.tables import notes, title
from imse.evaluate.writers import write_text

_COLOURS = 6


def write_report(evaluation: Evaluation, path: Path) -> None:
    """Write an evaluation as one HTML page that fetches nothing, whole or not at all."""
    write_text(_page(evaluation), path)


def _page(evaluation: Evaluation) -> str:
    names = ", ".join(system.name for system in evaluation.enhanced)
    facts = [f"{len(evaluation.pairs)} files", f"{len(evaluation.measures)} measures"]
    sections = [
        section(evaluation) for section in (_headline, _means, _boxes, _gain, _cells, _comparisons, _notes, _worst)
    ]
    body = f"<p>{_legend(evaluation)}</p>{''.join(sections)}"
    return document(f"{names}: speech enhancement evaluated", "Speech enhancement, evaluated", facts, body)


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
        + table(["measure", *(escape(system.name) for system in evaluation.systems)], rows)
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
        means_table = table(["measure", *heads, "mean of these"], rows)
        shown = "" if system is evaluation.noisy else " open"
        parts.append(f"<details{shown}><summary>{_key(system, colour)}</summary>{means_table}</details>")
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
        + table(heads, rows, "names")
    )


def _notes(evaluation: Evaluation) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes(evaluation))
    return f"<h2>Missing scores and delays</h2><p>A missing score is part of no mean.</p><ul>{items}</ul>"


def _worst(evaluation: Evaluation) -> str:
    measure = evaluation.measures[0]
    parts = [f"<h2>The worst files by {escape(MEASURES[measure].label)}</h2>", LISTENING]
    for system, colour in _colours(evaluation):
        if system is not evaluation.noisy:
            parts.append(f"<h3>{_key(system, colour)}</h3>")
            parts += [example(evaluation, system, position, colour) for position in worst(system, measure)]
    return "".join(parts)
