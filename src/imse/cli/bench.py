"""`imse bench`."""

from __future__ import annotations

from json import dumps
from pathlib import Path

import click

from imse.cli.output import check_output, overwrite_option
from imse.engine import ENGINES
from imse.errors import printable
from imse.weights import DEFAULT


@click.command()
@click.option(
    "--weights",
    multiple=True,
    default=(DEFAULT,),
    metavar="NAME|FILE",
    help="Weights in the package, or a file. May be repeated, as for .onnx and .safetensors of one network. "
    "Each engine measures those that it can open.",
)
@click.option(
    "--engine",
    "engines",
    type=click.Choice(list(ENGINES)),
    multiple=True,
    show_default="all",
    help="Measure this one. May be repeated.",
)
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=10.0, help="Length of the test signal.")
@click.option("--rounds", type=click.IntRange(1), default=5, help="Number of measurements, in turns.")
@click.option(
    "--threads",
    type=click.IntRange(1),
    multiple=True,
    metavar="N",
    show_default="1, and all",
    help="Processor threads. May be repeated.",
)
@click.option("--json", type=click.Path(path_type=Path), metavar="FILE", help="Write all results as JSON.")
@overwrite_option
def bench(
    weights: tuple[str, ...],
    engines: tuple[str, ...],
    seconds: float,
    rounds: int,
    threads: tuple[int, ...],
    json: Path | None,
    overwrite: bool,
) -> None:
    """Measure speed, memory and start-up of every engine on this machine, and compare with the plain network in torch.

    The engines are measured in turns, so that other load on the machine slows all of them equally. Without imse[torch],
    or the engine 'torch', there is no comparison.

    Example: imse bench --weights imse.onnx --weights imse.safetensors --json bench.json
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from imse.atomic_write import atomic_write
    from imse.bench.run import bench as run
    from imse.bench.table import tables
    from imse.processors import processors

    if json:
        check_output(json, overwrite)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("opening", total=None)
        record = run(
            weights,
            engines or tuple(ENGINES),
            seconds,
            rounds,
            threads or (1, processors()),
            lambda step: bar.update(task, description=step),
        )
    try:
        console = Console()
        for table in tables(record):
            console.print(table)
    finally:  # write the file even if printing fails, as into a closed pipe (`| head`)
        if json:
            with atomic_write(json) as file:
                file.write(dumps(record, indent=1, allow_nan=False).encode())
    if json:
        click.echo(f"written: {printable(str(json))}")
