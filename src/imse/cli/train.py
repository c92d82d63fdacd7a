"""`imse train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imse.errors import printable


def train(
    config: Annotated[Path, typer.Argument(help="A recipe: a TOML file, see recipes/ and docs/training.md.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace one value, such as optim.lr=1e-3.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint in the folder.")] = False,
) -> None:
    """Train a network. Needs imse[train].

    On several devices: torchrun --nproc-per-node N -m imse train recipes/default.toml

    Example: imse train recipes/default.toml --set run.folder=runs/mine
    """
    from imse.train.kernels import prepare
    from imse.train.loop import Run
    from imse.train.recipe_file import read
    from imse.train.trainer import make_fabric

    recipe = read(config, settings or ())
    fabric = make_fabric(recipe)
    if fabric.device.type == "cpu" and (reason := prepare()):
        typer.echo(f"imse: training in plain torch, several times slower: {reason}", err=True)
    run = Run(recipe, fabric, resume=resume)
    try:
        best = run.train()
    finally:
        run.trainer.close()
    if fabric.is_global_zero:
        typer.echo(f"{printable(str(best))}: after {run.trainer.step:,} steps")
