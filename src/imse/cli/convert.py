"""`imse convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imse.cli.output import refuse_existing
from imse.errors import printable


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint published by the authors of IMSE or MUSE.")],
    output: Annotated[Path, typer.Argument(help="The safetensors file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT if it exists.")] = False,
) -> None:
    """Turn a published checkpoint into a safetensors file that carries its configuration. Needs imse[torch].

    Example: imse convert g_best_pesq_3.399 imse.safetensors
    """
    from imse import checkpoint as checkpoints

    refuse_existing(output, overwrite)
    network, metadata = checkpoints.load_with_metadata(checkpoint)
    checkpoints.save(network, output, metadata)
    typer.echo(f"{printable(str(output))}: {sum(p.numel() for p in network.parameters()):,} parameters")
