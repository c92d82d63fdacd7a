"""`imse average`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imse.cli.output import refuse_existing
from imse.errors import ImseError, printable


def average(
    files: Annotated[list[Path], typer.Argument(help="Two or more safetensors files of one network.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The safetensors file to write.")],
    weights: Annotated[
        str, typer.Option(metavar="W1,W2,...", help="Weight of each file in the mean. Default: equal.")
    ] = "",
    facts: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=TEXT", help="Write a fact into the file: name, license, training_data, ..."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT if it exists.")] = False,
) -> None:
    """Average weights files of one network, such as several training runs; the result names its parents.

    Example: imse average published.safetensors mine.safetensors --weights 1,3 -o both.safetensors
    """
    from imse.weights.average import average as write_average

    refuse_existing(output, overwrite)
    try:
        shares = [float(weight) for weight in weights.split(",")] if weights else None
    except ValueError as error:
        raise ImseError(f"--weights takes numbers with commas between them, not '{weights}'") from error
    metadata = {}
    for fact in facts or ():
        key, separator, text = fact.partition("=")
        if not separator or not key:
            raise ImseError(f"--set takes KEY=TEXT, not '{fact}'")
        metadata[key] = text
    write_average(files, output, shares, metadata)
    typer.echo(f"{printable(str(output))}: mean of {len(files)} files")
