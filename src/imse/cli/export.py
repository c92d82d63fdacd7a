"""`imse export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imse.cli.output import refuse_existing
from imse.errors import printable


def export(
    weights: Annotated[Path, typer.Argument(help="A safetensors file, or a checkpoint published by the authors.")],
    output: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT if it exists.")] = False,
) -> None:
    """Write weights as an ONNX file, which runs without torch. Needs imse[export].

    Example: imse export mine.safetensors mine.onnx && imse enhance noisy.wav --weights mine.onnx
    """
    from imse.checkpoint import load_with_metadata
    from imse.export.onnx import export_onnx

    refuse_existing(output, overwrite)
    network, metadata = load_with_metadata(weights)
    export_onnx(network, output, metadata)
    typer.echo(f"{printable(str(output))}: {output.stat().st_size / 1e6:.1f} MB")
