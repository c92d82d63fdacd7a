"""`imse convert`."""

from __future__ import annotations

from pathlib import Path

import click

from imse.cli.output import check_output, overwrite_option
from imse.errors import printable


@click.command()
@click.argument("weights")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--half", is_flag=True, help="Write numbers of 16 bits: half the size, the same quality.")
@overwrite_option
def convert(weights: str, output: Path, half: bool, overwrite: bool) -> None:
    """Turn a published checkpoint into a safetensors file that carries its configuration. Needs imse[torch].

    WEIGHTS is a checkpoint published by the authors of IMSE or MUSE, a safetensors file of imse, or a name of weights
    in the package. OUTPUT is the safetensors file to write.

    Example: imse convert g_best_pesq_3.399 imse.safetensors
    """
    from imse import checkpoint as checkpoints
    from imse.weights import find

    check_output(output, overwrite)
    network, metadata = checkpoints.load_with_metadata(find(weights, ".safetensors"))
    checkpoints.save(network, output, metadata, half=half)
    click.echo(f"{printable(str(output))}: {sum(p.numel() for p in network.parameters()):,} parameters")
