"""`imse info`."""

from __future__ import annotations

from typing import Annotated

import typer

from imse.weights import DEFAULT


def info(
    weights: Annotated[str, typer.Option(metavar="NAME|FILE", help="Weights in the package, or a file.")] = DEFAULT,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare MUSE, IMSE and the two networks between them; takes seconds.")
    ] = False,
) -> None:
    """Describe weights: network, parameters, cost, licence, training data. Needs imse[torch], except for ONNX files.

    Example: imse info --weights mine.safetensors
    """
    from imse import info as information
    from imse.engine import ENGINES
    from imse.weights import find, names

    if compare:
        typer.echo(information.compare())
    else:
        engine = ENGINES["torch" if ENGINES["torch"].is_available() else "onnx"]
        typer.echo(information.describe(find(weights, engine.suffix)))
        typer.echo(f"\nWeights in the package: {', '.join(names())} (--weights NAME)")
