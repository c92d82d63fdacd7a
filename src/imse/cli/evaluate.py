"""`imse evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from imse.cli.output import check_output, overwrite_option
from imse.errors import printable
from imse.processors import processors

_path = click.Path(path_type=Path)


@click.command()
@click.option("--clean", required=True, type=_path, metavar="FOLDER", help="Folder of the clean recordings.")
@click.option(
    "--enhanced",
    required=True,
    multiple=True,
    type=_path,
    metavar="FOLDER",
    help="Folder of enhanced recordings. Repeat it to compare several.",
)
@click.option("--noisy", type=_path, metavar="FOLDER", help="Folder of the noisy recordings, which are scored, too.")
@click.option(
    "--index",
    type=_path,
    metavar="FILE",
    help="Tab-separated table with columns id and snr_db, for means by input SNR.",
)
@click.option(
    "--measures", metavar="NAME,...", show_default="all", help="Measures to compute, such as pesq_wb,stoi,csig."
)
@click.option(
    "--align", is_flag=True, help="Remove each file's delay to its clean one before scoring, up to one second."
)
@click.option("--csv", type=_path, metavar="FILE", help="Write the scores of every file as CSV.")
@click.option("--json", type=_path, metavar="FILE", help="Write all results as JSON.")
@click.option("--report", type=_path, metavar="FILE", help="Write one HTML page with plots and players.")
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", show_default="number of processors", help="Number of processes."
)
@overwrite_option
def evaluate(
    clean: Path,
    enhanced: tuple[Path, ...],
    noisy: Path | None,
    index: Path | None,
    measures: str | None,
    align: bool,
    csv: Path | None,
    json: Path | None,
    report: Path | None,
    jobs: int | None,
    overwrite: bool,
) -> None:
    """Score enhanced recordings against the clean ones of the same name. Needs imse[eval].

    Example: imse evaluate --clean clean/ --enhanced enhanced/ --noisy noisy/ --report report.html
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from imse.evaluate import evaluate as run
    from imse.evaluate.report import write_report
    from imse.evaluate.tables import tables
    from imse.evaluate.writers import write_csv, write_json

    outputs = [(path, write) for path, write in ((csv, write_csv), (json, write_json), (report, write_report)) if path]
    for path, _ in outputs:
        check_output(path, overwrite)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("scoring", total=None)
        evaluation = run(
            clean,
            list(enhanced),
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
    for path, _ in outputs:
        click.echo(f"written: {printable(str(path))}")
