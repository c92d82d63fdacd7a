"""`imse train`."""

from __future__ import annotations

from pathlib import Path

import click

from imse.errors import printable


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace one value, such as optim.lr=1e-3.")
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint in the folder.")
def train(config: Path, settings: tuple[str, ...], resume: bool) -> None:
    """Train a network. Needs imse[train].

    CONFIG is a recipe: a TOML file, see recipes/ and docs/training.md.

    On several devices: torchrun --nproc-per-node N -m imse train recipes/default.toml

    Example: imse train recipes/default.toml --set run.folder=runs/mine
    """
    from imse.train.kernels import prepare
    from imse.train.loop import Run
    from imse.train.recipe_file import read
    from imse.train.trainer import make_fabric

    recipe = read(config, settings)
    fabric = make_fabric(recipe)
    if fabric.device.type == "cpu" and (reason := prepare()):
        click.echo(f"imse: training in plain torch, several times slower: {reason}", err=True)
    run = Run(recipe, fabric, resume=resume)
    try:
        best = run.train()
    finally:
        run.trainer.close()
    if fabric.is_global_zero:
        click.echo(f"{printable(str(best))}: after {run.trainer.step:,} steps")
