"""What can go wrong: a score that does not exist, and folders that cannot be compared."""

from __future__ import annotations

from imse.errors import ImseError


class Unscorable(Exception):  # noqa: N818 - a finding about one file, counted in the result, not a failure
    """There is no such score of these signals; the message is the reason, told to the user."""


class EvaluationError(ImseError):
    """Folders or an index that do not fit together; the message names the file."""
