"""The header of a safetensors file: what is in it, without reading its tensors."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from imse.errors import ImseError
from imse.weights import require_file


class Header(NamedTuple):
    """What a file says of itself.

    Attributes:
        metadata: Its texts by their keys.
        shapes: The shape of each tensor, by its name.
    """

    metadata: dict[str, str]
    shapes: dict[str, tuple[int, ...]]


class NotSafetensorsError(ImseError):
    """A file of another kind, or a damaged one."""


def read_header(path: Path) -> Header:
    """Read the header of a file.

    Raises:
        OSError: The file cannot be read.
        NotSafetensorsError: It is not a safetensors file, or a damaged one.
        ImseError: A pipe or a device.
    """
    require_file(path)
    with path.open("rb"):
        pass  # raises the system's own error, which names the file
    try:
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict
            return Header(dict(file.metadata() or {}), shapes)
    except SafetensorError as error:
        raise NotSafetensorsError(f"{path}: not a safetensors file, or a damaged one: {error}") from error
