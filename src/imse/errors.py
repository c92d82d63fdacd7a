"""The errors a user can act on. Their message is one line that says what to do."""

from __future__ import annotations

# The extra that installs a module, for the line that a user sees when it is missing.
_EXTRAS = {
    "av": "av",
    "filelock": "torch",
    "fsspec": "corpus",
    "lightning_fabric": "train",
    "onnx": "export",
    "pesq": "eval",
    "pyarrow": "corpus",
    "pydantic": "train",
    "pydantic_core": "train",
    "pyroomacoustics": "train",
    "pystoi": "eval",
    "ray": "corpus",
    "sounddevice": "live",
    "speechmos": "eval",
    "tensorboard": "train",
    "tomli": "train",
    "torch": "torch",
}


class ImseError(Exception):
    """Base of the errors that the command line prints in one line, without a traceback."""


class WrongValueError(ImseError, ValueError):
    """An argument of the right type whose value is none of those allowed."""


class WrongTypeError(ImseError, TypeError):
    """An argument of a type that is not allowed."""


class UnsupportedWeightsError(ImseError):
    """Weights that an engine cannot run, but another one may."""


def describe(error: BaseException) -> str:
    """One line for a user: what went wrong, with which file, or what to install."""
    return printable(_message(error))


def printable(text: str) -> str:
    """Text fit for a terminal: bytes of a file's name that are not UTF-8, and control characters, are escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode()
        for character in text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    )


def counted(count: int, what: str) -> str:
    """A number of things: "1 file", "2 files"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _message(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and (extra := extra_of(error)):
        return f"this needs the module '{error.name}': pip install 'imse[{extra}]'"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror.lower()}"
    if isinstance(error, ImseError):
        return str(error)
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def extra_of(error: ModuleNotFoundError) -> str | None:
    """The extra of this package that installs what is missing; None if none does."""
    return _EXTRAS.get((error.name or "").partition(".")[0])
