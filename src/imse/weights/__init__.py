"""The weights inside the package."""

from __future__ import annotations

from pathlib import Path

from imse.errors import ImseError

# Key of the network's configuration, as JSON, in the metadata of a weights file.
CONFIG_KEY = "imse.network"
# Key under which a mean of weights names its parents, as JSON.
PARENTS_KEY = "parents"

_FOLDER = Path(__file__).parent


def find(weights: str | Path, suffix: str) -> Path:
    """Find a weights file.

    Args:
        weights: A file, or the name of weights in the package.
        suffix: Suffix of the file in the package: ".safetensors" or ".onnx".

    Raises:
        ImseError: There is no such file or name.
    """
    packaged = _FOLDER / f"{weights}{suffix}"
    if packaged.parent == _FOLDER and packaged.is_file():
        return packaged
    path = Path(weights)
    if path.is_file():
        return path
    if path.is_dir():
        raise ImseError(f"{path}: a folder; --weights takes a file or a name")
    raise ImseError(f"{weights}: no such weights: give a file, or one of {', '.join(names())}")


def require_file(path: Path) -> None:
    """Refuse a pipe or a device, which would be waited for, or never end.

    Raises:
        ImseError: `path` is there, and is neither a file nor a folder.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ImseError(f"{path}: a pipe or a device, not a file")


def names() -> list[str]:
    """Names of the weights in the package."""
    return sorted(file.stem for file in _FOLDER.glob("*.safetensors"))
