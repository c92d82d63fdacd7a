"""`imse info`."""

from __future__ import annotations

import click

from imse.weights import DEFAULT


@click.command()
@click.option("--weights", default=DEFAULT, metavar="NAME|FILE", help="Weights in the package, or a file.")
@click.option("--compare", is_flag=True, help="Compare MUSE, IMSE and the two networks between them; takes seconds.")
def info(weights: str, compare: bool) -> None:
    """Describe weights: network, parameters, cost, licence, training data. Needs imse[torch], except for ONNX files.

    Example: imse info --weights mine.safetensors
    """
    from imse import info as information
    from imse.engine import ENGINES
    from imse.weights import find, names

    if compare:
        click.echo(information.compare())
    else:
        engine = ENGINES["torch" if ENGINES["torch"].is_available() else "onnx"]
        click.echo(information.describe(find(weights, engine.suffix)))
        click.echo(f"\nWeights in the package: {', '.join(names())} (--weights NAME)")
