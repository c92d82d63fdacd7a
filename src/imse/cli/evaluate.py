"""`imse evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imse.processors import processors


def evaluate(
    clean: Annotated[Path, typer.Option(help="Folder of the clean recordings.")],
    enhanced: Annotated[list[Path], typer.Option(help="Folder of enhanced recordings. Repeat it to compare several.")],
    noisy: Annotated[Path | None, typer.Option(help="Folder of the noisy recordings, which are scored, too.")] = None,
    index: Annotated[
        Path | None, typer.Option(help="Tab-separated table with columns id and snr_db, for means by input SNR.")
    ] = None,
    measures: Annotated[
        str | None, typer.Option(help="Measures to compute, such as pesq_wb,stoi,csig. Default: all.")
    ] = None,
    align: Annotated[
        bool,
        typer.Option("--align", help="Remove each file's delay to its clean one before scoring, up to one second."),
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the scores of every file as CSV.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write all results as JSON.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write one HTML page with plots and players.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Number of processes. Default: number of processors.")] = None,
) -> None:
    """Score enhanced recordings against the clean ones of the same name. Needs imse[eval].

    Example: imse evaluate --clean clean/ --enhanced enhanced/ --noisy noisy/ --report report.html
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from imse.atomic_write import require_writable
    from imse.evaluate import evaluate as run
    from imse.evaluate.report import write_report
    from imse.evaluate.tables import tables
    from imse.evaluate.writers import write_csv, write_json

    outputs = [(path, write) for path, write in ((csv, write_csv), (json, write_json), (report, write_report)) if path]
    for path, _ in outputs:
        require_writable(path)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("scoring", total=None)
        evaluation = run(
            clean,
            enhanced,
            noisy,
            index=index,
            measures=None if measures is None else [name.strip() for name in measures.split(",")],
            align=align,
            jobs=jobs or processors(),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    try:
        console = Console()
        for table in tables(evaluation):
            console.print(table)
    finally:  # write the files even if printing fails, as into a closed pipe (`| head`)
        for path, write in outputs:
            write(evaluation, path)
