"""`imse score`."""

from __future__ import annotations

from pathlib import Path

import click

from imse.cli.output import check_output, overwrite_option
from imse.errors import ImseError, describe, printable
from imse.processors import processors

_path = click.Path(path_type=Path)


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=_path, metavar="INPUT...")
@click.option(
    "--before",
    type=_path,
    metavar="FOLDER",
    help="The recordings before enhancement, of the same names. Not needed for a.wav beside a.enhanced.wav.",
)
@click.option("--json", type=_path, metavar="FILE", help="Write all results as JSON.")
@click.option("--report", type=_path, metavar="FILE", help="Write one HTML page with players.")
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", show_default="number of processors", help="Number of processes."
)
@overwrite_option
def score(
    inputs: tuple[Path, ...],
    before: Path | None,
    json: Path | None,
    report: Path | None,
    jobs: int | None,
    overwrite: bool,
) -> None:
    """Score recordings without a clean reference, before and after enhancement. Needs imse[eval].

    INPUTs are audio files and folders, which are searched recursively. For each: predicted ratings (DNSMOS), noise
    floor in the pauses, estimated SNR, clipping, loudness and bandwidth; and a warning where enhancement seems to have
    harmed the speech. A file that cannot be read does not stop the others; the exit code is 0 only if all were read.

    \b
    imse score noisy.wav                      with noisy.enhanced.wav beside it: both
    imse score cleaned --before recordings --report report.html
    """  # noqa: D301 - the escape tells the help to keep the lines of the examples
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from imse.score.items import find_items
    from imse.score.report import write_report
    from imse.score.run import score as run
    from imse.score.tables import tables
    from imse.score.writers import write_json

    outputs = [(path, write) for path, write in ((json, write_json), (report, write_report)) if path]
    for path, _ in outputs:
        check_output(path, overwrite)
    failures: list[str] = []
    items = find_items(inputs, before, lambda error: failures.append(describe(error)))
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("scoring", total=len(items))
        scores = run(items, jobs or processors(), lambda done, total: bar.update(task, completed=done, total=total))
    try:
        console = Console()
        for table in tables(scores):
            console.print(table)
    finally:  # write the files even if printing fails, as into a closed pipe (`| head`)
        for path, write in outputs:
            write(scores, path)
    for path, _ in outputs:
        click.echo(f"written: {printable(str(path))}")
    failures += [error for found in scores for error in found.errors]
    for failure in failures:
        click.echo(f"imse: {failure}", err=True)
    if failures:
        raise ImseError(f"{len(failures)} of the files and folders could not be read, or not to the end")
