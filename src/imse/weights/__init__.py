"""The weights inside the package."""

from __future__ import annotations

import stat
from pathlib import Path

from imse.errors import ImseError, WrongValueError

DEFAULT = "default"
"""Name of the weights that are used if none are asked for."""

# Key of the network's configuration, as JSON, in the metadata of a weights file.
CONFIG_KEY = "imse.network"
# Key under which a mean of weights names its parents, as JSON.
PARENTS_KEY = "parents"

FOLDER = Path(__file__).parent


def find(weights: str | Path, suffix: str) -> Path:
    """Find a weights file.

    Args:
        weights: A file, or the name of weights in the package.
        suffix: Suffix of the file in the package: ".safetensors" or ".onnx".

    Raises:
        ImseError: There is no such file or name, or it is a pipe or a device.
    """
    packaged = FOLDER / f"{weights}{suffix}"
    if packaged.parent == FOLDER and packaged.is_file():
        return packaged
    path = Path(weights)
    if path.is_dir():
        raise ImseError(f"{path}: a folder, where a file or a name of weights is expected")
    if path.exists():
        require_file(path)
        return path
    raise WrongValueError(f"{weights}: no such weights: give a file, or one of {', '.join(names())}")


def require_file(path: Path) -> None:
    """Refuse a pipe or a device, on which reading would wait for ever, before weights are read from it.

    Raises:
        OSError: There is no such file, or it cannot be looked at.
        ImseError: A pipe or a device.
    """
    if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):  # a folder fails when it is opened
        raise ImseError(f"{path}: a pipe or a device; weights are read from a file")


def names() -> list[str]:
    """Names of the weights in the package."""
    return sorted(file.stem for file in FOLDER.glob("*.safetensors"))
