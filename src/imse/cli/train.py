"""`imse train`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imse.errors import ImseError, printable

if TYPE_CHECKING:
    from imse.train.loop import Run
    from imse.train.recipe import Recipe


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FOLDER|TABLE",
    help="Where the recipe's recordings are: a folder, or a table of 'imse data manifest'.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace one value, such as optim.lr=1e-3.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint of a run; CONFIG may be its folder.")
def train(config: Path, data: Path | None, settings: tuple[str, ...], resume: bool) -> None:
    """Train a network. Needs imse[train].

    CONFIG is a recipe: a TOML file, see recipes/ and docs/training.md. Ctrl-C saves the run; --resume goes on with it,
    as it was started.

    On several devices: torchrun --nproc-per-node N -m imse train recipes/default.toml

    Example: imse train recipes/finetune.toml --data mine.tsv
    """
    from imse.train.check import check
    from imse.train.recipe_file import read

    if config.is_dir() and not resume:
        raise ImseError(f"{config}: a folder, not a recipe; to go on with the run in it, add --resume")
    recipe = _resumed(config, data, settings) if resume else read(config, settings, data)
    split = check(recipe, resume=resume)

    from imse.train.interrupt import Interrupted
    from imse.train.kernels import prepare
    from imse.train.loop import Run
    from imse.train.trainer import make_fabric

    fabric = make_fabric(recipe)
    if fabric.device.type == "cpu" and (reason := prepare()):
        click.echo(f"imse: training in plain torch, several times slower: {reason}", err=True)
    with _memory_errors():
        run = Run(recipe, fabric, resume=resume, split=split)
        try:
            best = run.train()
        except Interrupted:
            if fabric.is_global_zero:
                again = f"imse train {shlex.quote(printable(recipe.run.folder))} --resume"
                click.echo(f"imse: interrupted, saved after step {run.trainer.step:,}; to go on: {again}", err=True)
            sys.exit(130)
        finally:
            run.trainer.close()
    if fabric.is_global_zero:
        click.echo(_outcome(run, best, recipe.validation.metric))


def _resumed(config: Path, data: Path | None, settings: tuple[str, ...]) -> Recipe:
    """The recipe of a run as it was started, with new settings over it."""
    from imse.train.recipe_file import differences, read, read_run

    if config.is_dir():
        if data is not None:
            raise ImseError("--data has no effect with --resume: a run goes on with the data that it was started on")
        return read_run(config, settings)
    stated = read(config, settings, data)
    recipe = read_run(Path(stated.run.folder), settings)
    if other := differences(asdict(stated), asdict(recipe)):
        keys = ", ".join(other)
        note = f"imse: going on as the run was started; {config} now differs in {keys} (change a run by --set)"
        click.echo(printable(note), err=True)
    return recipe


@contextmanager
def _memory_errors() -> Iterator[None]:
    from imse.train.trainer import is_out_of_memory

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ImseError("not enough memory; lower optim.batch_size or optim.segment_samples") from error


def _outcome(run: Run, best: Path, metric: str) -> str:
    """One line: which step was best, and where its weights are."""
    from safetensors import safe_open

    with safe_open(best, framework="numpy") as file:
        step = int(file.metadata()["steps"])
    of_all = f"step {step:,} of {run.trainer.step:,}"
    if run.best_score is None:
        return printable(f"{best}: the weights of {of_all}; none was validated")
    start = ", where the run started: no step was better" if step == 0 else ""
    return printable(f"{best}: the weights of {of_all}, the best by {metric} ({run.best_score:.4g}){start}")
