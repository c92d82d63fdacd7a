"""The command line: one module per command, each importing what it needs only when it runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from imse import __version__
from imse.cli.convert import convert
from imse.cli.data import data
from imse.cli.enhance import enhance
from imse.cli.evaluate import evaluate
from imse.cli.export import export
from imse.cli.info import info
from imse.cli.train import train
from imse.errors import ImseError, describe

# The extra that installs a module, for the line that a user sees when it is missing.
_EXTRAS = {
    "av": "av",
    "lightning_fabric": "train",
    "onnx": "export",
    "pesq": "eval",
    "pyroomacoustics": "train",
    "pystoi": "eval",
    "safetensors": "torch",
    "speechmos": "eval",
    "tensorboard": "train",
    "torch": "torch",
}

app = typer.Typer(
    name="imse",
    help="Ultra-light speech enhancement: clean recordings, train, measure and export.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(enhance)
app.command()(info)
app.command()(export)
app.command()(convert)
app.command()(evaluate)
app.command()(train)
app.add_typer(data)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"imse {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an error that the user can mend is one line on standard error and exit code 1."""
    try:
        app()
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        sys.exit(f"imse: this needs the module '{error.name}': pip install 'imse[{extra}]'")
    except (ImseError, OSError) as error:
        sys.exit(f"imse: {describe(error)}")
