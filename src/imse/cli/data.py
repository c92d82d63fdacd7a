"""`imse data`: prepare corpora for training."""

from __future__ import annotations

from pathlib import Path

import click

from imse.errors import ImseError, printable


@click.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Check and prepare corpora for training."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@data.command("voicebank-demand")
@click.argument("root", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    show_default="ROOT/imse",
    help="Folder to write to.",
)
@click.option("--threads", type=click.IntRange(1), default=2, help="Number of files to resample at a time.")
def voicebank_demand(root: Path, output: Path | None, threads: int) -> None:
    """Check VoiceBank+DEMAND and resample it to 16 kHz. The recipe holds out two training speakers for validation.

    ROOT is the folder with the four unpacked folders of the corpus.

    Example: imse data voicebank-demand ~/VoiceBank-DEMAND && imse train recipes/voicebank_demand.toml
    """
    from rich.progress import Progress

    from imse.train.voicebank import HELD_OUT, prepare

    target = output or root / "imse"
    with Progress() as bar:
        task = bar.add_task("resampling")
        pairs = prepare(root, target, threads, lambda done, total: bar.update(task, completed=done, total=total))
    click.echo(
        f"{target}: {pairs['train']:,} pairs to train on, {pairs['validation']:,} of {' and '.join(HELD_OUT)} for "
        f"validation, {pairs['test']:,} to test"
    )


@data.command()
@click.option(
    "--speech",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    metavar="FOLDER",
    help="Clean speech; may be given several times.",
)
@click.option(
    "--noise",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    metavar="FOLDER",
    help="Noise without speech, likewise.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="TABLE", help="Table to write.")
@click.option(
    "--speaker",
    metavar="REGEX",
    help="First group: the speaker in a file's path below FOLDER.  [default: first folder, or name up to '_']",
)
@click.option("--noise-type", metavar="REGEX", help="Likewise for the type of noise.")
@click.option(
    "--held-out",
    multiple=True,
    metavar="NAME",
    help="Speaker or type of noise for validation; may be given several times.  [default: about a tenth]",
)
@click.option("--threads", type=click.IntRange(1), default=2, help="Number of files to decode at a time.")
@click.option("--overwrite", is_flag=True, help="Replace an existing table.")
def manifest(
    speech: tuple[Path, ...],
    noise: tuple[Path, ...],
    output: Path,
    speaker: str | None,
    noise_type: str | None,
    held_out: tuple[str, ...],
    threads: int,
    overwrite: bool,
) -> None:
    """Make a table of recordings for training.

    The files may have any format, any rate from 16 kHz on and any number of channels. What cannot be used is listed,
    and left out; the exit code is then 1. Some speakers and types of noise are held out for validation.

    Example: imse data manifest --speech speech --noise noise -o mine.tsv

    Then: imse train recipes/finetune.toml --data mine.tsv
    """
    from rich.progress import Progress

    from imse.cli.output import check_output
    from imse.train import table

    check_output(output, overwrite)
    with Progress(transient=True) as bar:
        tasks = bar.add_task("speech"), bar.add_task("noise")
        voices = table.scan(
            speech, "speech", speaker, threads, lambda done, total: bar.update(tasks[0], completed=done, total=total)
        )
        noises = table.scan(
            noise, "noise", noise_type, threads, lambda done, total: bar.update(tasks[1], completed=done, total=total)
        )
    problems = voices.problems + noises.problems
    for problem in problems:
        click.echo(f"imse: {printable(problem)}", err=True)
    entries = table.hold_out(voices.entries + noises.entries, held_out)
    table.write(entries, output)
    click.echo(f"{printable(str(output))}: {table.summary(entries)}")
    if problems:
        raise ImseError(f"{len(problems):,} of the files cannot be used and are not in the table")
