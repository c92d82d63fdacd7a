"""`imse export`."""

from __future__ import annotations

from pathlib import Path

import click

from imse.cli.output import check_output, overwrite_option
from imse.errors import printable


@click.command()
@click.argument("weights")
@click.argument("output", type=click.Path(path_type=Path))
@overwrite_option
def export(weights: str, output: Path, overwrite: bool) -> None:
    """Write weights as an ONNX file, which runs without torch. Needs imse[export].

    WEIGHTS is a safetensors file, a checkpoint published by the authors, or a name of weights in the package. OUTPUT
    is the ONNX file to write.

    Example: imse export mine.safetensors mine.onnx && imse enhance noisy.wav --weights mine.onnx
    """
    from imse.checkpoint import load_with_metadata
    from imse.export.onnx import export_onnx
    from imse.weights import find

    check_output(output, overwrite)
    network, metadata = load_with_metadata(find(weights, ".safetensors"))
    export_onnx(network, output, metadata)
    click.echo(f"{printable(str(output))}: {output.stat().st_size / 1e6:.1f} MB")
