"""`imse convert`."""

from __future__ import annotations

from pathlib import Path

import click

from imse.cli.output import check_output, overwrite_option
from imse.errors import printable


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@overwrite_option
def convert(checkpoint: Path, output: Path, overwrite: bool) -> None:
    """Turn a published checkpoint into a safetensors file that carries its configuration. Needs imse[torch].

    CHECKPOINT is a file published by the authors of IMSE or MUSE, OUTPUT the safetensors file to write.

    Example: imse convert g_best_pesq_3.399 imse.safetensors
    """
    from imse import checkpoint as checkpoints

    check_output(output, overwrite)
    network, metadata = checkpoints.load_with_metadata(checkpoint)
    checkpoints.save(network, output, metadata)
    click.echo(f"{printable(str(output))}: {sum(p.numel() for p in network.parameters()):,} parameters")
