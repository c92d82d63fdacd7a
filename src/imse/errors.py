"""The errors a user can act on. Their message is one line that says what to do."""

from __future__ import annotations


class ImseError(Exception):
    """Base of the errors that the command line prints in one line, without a traceback."""


def describe(error: BaseException) -> str:
    """One line for a user: what went wrong, and with which file."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror.lower()}"
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
