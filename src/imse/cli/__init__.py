"""The command line: one module per command, imported when that command runs. Each imports what it needs then."""

from __future__ import annotations

import errno
import sys
from importlib import import_module
from pathlib import Path

import click

from imse import __version__
from imse.errors import ImseError, describe, extra_of, printable

# A command is the object of this name in the module of this name.
_COMMANDS = (
    "enhance", "live", "web", "corpus", "models", "info", "score", "evaluate", "bench", "convert", "export", "average",
    "data", "train",
)  # fmt: skip


_WRITING = (errno.EFBIG, errno.EIO, errno.ENOSPC)


class _Commands(click.Group):
    """A group whose commands are imported when they run, or when the help lists them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"imse.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names, or say what may have been meant."""
        name = args[0]
        if name in _COMMANDS:
            return super().resolve_command(ctx, args)
        raise click.UsageError(_unknown(name), ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List each command with the whole first sentence of its help."""
        commands = ((name, self.get_command(ctx, name)) for name in _COMMANDS)
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(limit=1_000)) for name, command in commands if command]
            )


def _unknown(name: str) -> str:
    from difflib import get_close_matches
    from shlex import quote

    if name == "-" or Path(name).suffix or Path(name).exists():
        return f"no command '{name}'; to clean a recording: imse enhance {quote(name)}"
    close = get_close_matches(name, _COMMANDS, 1)
    return f"no command '{name}'; " + (f"did you mean '{close[0]}'?" if close else f"there are {', '.join(_COMMANDS)}")


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100},
)
@click.version_option(__version__, prog_name="imse", message="%(prog)s %(version)s")
@click.pass_context
def app(context: click.Context) -> None:
    """Ultra-light speech enhancement: clean recordings, train, measure and export.

    Example: imse enhance noisy.wav
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Run the command line.

    Errors that a user can fix end it with one line on standard error, and exit code 1, or 2 for wrong options.
    """
    try:
        sys.exit(app.main(prog_name="imse", standalone_mode=False))
    except click.Abort as abort:  # in which click wraps interrupts
        raise (abort.__cause__ or abort) from None
    except click.UsageError as error:
        click.echo(f"imse: {_one_line(error)}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if not extra_of(error):
            raise
        sys.exit(f"imse: {describe(error)}")
    except (ImseError, OSError) as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _WRITING:
            error.filename = "standard output"  # errors of writing files name the file
        sys.exit(f"imse: {describe(error)}")


def _one_line(error: click.UsageError) -> str:
    """What is wrong with the options, in one line that ends with the help to look at."""
    message = printable(" ".join(error.format_message().split())).rstrip(".")
    place = error.ctx.command_path if error.ctx else "imse"
    return f"{message[:1].lower()}{message[1:]} ({place} --help)"
