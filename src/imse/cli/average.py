"""`imse average`."""

from __future__ import annotations

from pathlib import Path

import click

from imse.cli.output import check_output, overwrite_option
from imse.errors import ImseError, printable


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The safetensors file to write.",
)
@click.option(
    "--weights", default="", metavar="W1,W2,...", show_default="equal", help="Weight of each file in the mean."
)
@click.option(
    "--set",
    "facts",
    multiple=True,
    metavar="KEY=TEXT",
    help="Write a fact into the file: name, license, training_data, ...",
)
@overwrite_option
def average(files: tuple[Path, ...], output: Path, weights: str, facts: tuple[str, ...], overwrite: bool) -> None:
    """Average weights files of one network, such as several training runs; the result names its parents.

    FILES are two or more safetensors files.

    Example: imse average published.safetensors mine.safetensors --weights 1,3 -o both.safetensors
    """
    from imse.weights.average import average as write_average

    check_output(output, overwrite)
    try:
        shares = [float(weight) for weight in weights.split(",")] if weights else None
    except ValueError as error:
        raise ImseError(f"--weights takes numbers with commas between them, not '{weights}'") from error
    metadata = {}
    for fact in facts:
        key, separator, text = fact.partition("=")
        if not separator or not key:
            raise ImseError(f"--set takes KEY=TEXT, not '{fact}'")
        metadata[key] = text
    write_average(files, output, shares, metadata)
    click.echo(f"{printable(str(output))}: mean of {len(files)} files")
