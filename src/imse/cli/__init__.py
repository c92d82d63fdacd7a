"""The command line: one module per command. Each command imports what it needs when it runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from imse import __version__
from imse.cli.average import average
from imse.cli.bench import bench
from imse.cli.convert import convert
from imse.cli.data import data
from imse.cli.enhance import enhance_command
from imse.cli.evaluate import evaluate
from imse.cli.export import export
from imse.cli.info import info
from imse.cli.train import train
from imse.errors import ImseError, describe, extra_of

app = typer.Typer(
    name="imse",
    help="Ultra-light speech enhancement: clean recordings, train, measure and export.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("enhance")(enhance_command)
app.command()(info)
app.command()(export)
app.command()(convert)
app.command()(average)
app.command()(evaluate)
app.command()(train)
app.command()(bench)
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
    """Run the command line. Errors that a user can fix end it with one line on standard error and exit code 1."""
    try:
        app()
    except ModuleNotFoundError as error:
        if not extra_of(error):
            raise
        sys.exit(f"imse: {describe(error)}")
    except (ImseError, OSError) as error:
        sys.exit(f"imse: {describe(error)}")
