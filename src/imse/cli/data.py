"""`imse data`: prepare corpora for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(name="data", help="Check and prepare corpora for training.", no_args_is_help=True)


@data.callback()
def _root() -> None:
    """Make `voicebank-demand` a subcommand: without a callback, typer drops the name of a single command."""


@data.command("voicebank-demand")
def voicebank_demand(
    root: Annotated[Path, typer.Argument(help="Folder with the four unpacked folders of the corpus.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to write to. Default: ROOT/imse.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Number of files to resample at a time.", min=1)] = 2,
) -> None:
    """Check VoiceBank+DEMAND and resample it to 16 kHz. The recipe holds out two training speakers for validation.

    Example: imse data voicebank-demand ~/VoiceBank-DEMAND && imse train recipes/voicebank_demand.toml
    """
    from rich.progress import Progress

    from imse.train.voicebank import HELD_OUT, prepare

    target = output or root / "imse"
    with Progress() as bar:
        task = bar.add_task("resampling")
        pairs = prepare(root, target, threads, lambda done, total: bar.update(task, completed=done, total=total))
    typer.echo(
        f"{target}: {pairs['train']:,} pairs to train on, {pairs['validation']:,} of {' and '.join(HELD_OUT)} for "
        f"validation, {pairs['test']:,} to test"
    )
