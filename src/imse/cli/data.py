"""`imse data`: prepare corpora for training."""

from __future__ import annotations

from pathlib import Path

import click


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
