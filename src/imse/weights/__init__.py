"""The weights inside the package."""

from __future__ import annotations

from pathlib import Path

from imse.errors import ImseError

# Key of a file's metadata under which its network's configuration lies, as JSON.
CONFIG_KEY = "imse.network"

_FOLDER = Path(__file__).parent
_SUFFIXES = {"native": ".safetensors", "onnx": ".onnx", "torch": ".safetensors", "torch-bf16": ".safetensors"}


def find(weights: str | Path, engine: str) -> Path:
    """The file of weights, given by the name of some in the package or by its path.

    Raises:
        ImseError: Neither.
    """
    packaged = _FOLDER / f"{weights}{_SUFFIXES.get(engine, '')}"
    if packaged.parent == _FOLDER and packaged.is_file():
        return packaged
    path = Path(weights)
    if path.is_file():
        return path
    if path.is_dir():
        raise ImseError(f"{path}: a folder; --weights takes a file or a name")
    if str(weights) == "default":
        raise ImseError("this version has no default weights yet: give a file with --weights FILE")
    names = sorted(
        {file.stem for file in _FOLDER.glob(f"*{_SUFFIXES.get(engine, '')}") if file.suffix in _SUFFIXES.values()}
    )
    raise ImseError(f"{weights}: no such weights: give a file" + (f", or one of {', '.join(names)}" if names else ""))
