"""`imse info`."""

from __future__ import annotations

import click

from imse.weights import DEFAULT


@click.command()
@click.option("--weights", default=DEFAULT, metavar="NAME|FILE", help="Weights in the package, or a file.")
@click.option("--compare", is_flag=True, help="Compare MUSE, IMSE and the two networks between them; takes seconds.")
def info(weights: str, compare: bool) -> None:
    """Describe weights: network, parameters, cost, licence, training data.

    The authors' published files and --compare need imse[torch].

    Example: imse info --weights mine.safetensors
    """
    from imse import info as information
    from imse.weights import find, names

    if compare:
        click.echo(information.compare())
    else:
        click.echo(information.describe(find(weights, ".safetensors")))
        click.echo(f"\nWeights in the package: {', '.join(names())} (imse models compares them)")
