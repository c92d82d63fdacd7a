"""Errors of an evaluation: a score that cannot be computed, and folders that cannot be compared."""

from __future__ import annotations

from imse.errors import ImseError


class Unscorable(Exception):  # noqa: N818 - a finding about one file, counted in the result, not a failure
    """A score that these signals do not have; the message is the reason that the user reads."""


class EvaluationError(ImseError):
    """Folders or an index that do not fit together; the message names the file."""
