"""`imse export`."""

from __future__ import annotations

from pathlib import Path

import click

from imse.cli.output import overwrite_option, refuse_existing
from imse.errors import printable


@click.command()
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@overwrite_option
def export(weights: Path, output: Path, overwrite: bool) -> None:
    """Write weights as an ONNX file, which runs without torch. Needs imse[export].

    WEIGHTS is a safetensors file or a checkpoint published by the authors, OUTPUT the ONNX file to write.

    Example: imse export mine.safetensors mine.onnx && imse enhance noisy.wav --weights mine.onnx
    """
    from imse.checkpoint import load_with_metadata
    from imse.export.onnx import export_onnx

    refuse_existing(output, overwrite)
    network, metadata = load_with_metadata(weights)
    export_onnx(network, output, metadata)
    click.echo(f"{printable(str(output))}: {output.stat().st_size / 1e6:.1f} MB")
