"""The weighted mean of weights of one network.

Weights that were fine-tuned from common ones lie in one basin of the loss. Their mean is often better than each of them
(model soups, Wortsman et al., arXiv 2203.05482), and the mean with the weights that they started from brings back what
fine-tuning forgot (WiSE-FT, Wortsman et al., arXiv 2109.01903).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from imse.atomic_write import atomic_write
from imse.errors import ImseError
from imse.weights import CONFIG_KEY, PARENTS_KEY, require_file
from imse.weights.serialization import serialize

Tensors = dict[str, NDArray[Any]]


def average(
    files: Sequence[str | Path],
    output: str | Path,
    shares: Sequence[float] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the weighted mean of safetensors files of one network.

    The mean is computed in float64 in the order of the files and written in float32, so the same files in the same
    order give the same bytes. The metadata lists the parents: name, SHA-256 of the file, and share of each.

    Args:
        files: At least two files that `imse.checkpoint.save` or `imse convert` wrote.
        output: The file to write; an existing file is replaced.
        shares: Weight of each file, at least 0, normalised to a sum of 1; equal by default.
        metadata: Further metadata of the result: name, license, training_data, ...

    Raises:
        ImseError: Fewer than two files, files of different networks, weights that are not finite, or invalid shares.
        OSError: A file cannot be read or written.
    """
    paths = [Path(file) for file in files]
    if len(paths) < 2:
        raise ImseError("a mean needs at least two files")
    normalised = _normalise(shares, len(paths))
    for path in paths:
        require_file(path)
    contents = [path.read_bytes() for path in paths]
    parents = [_read(path, content) for path, content in zip(paths, contents, strict=True)]
    first = parents[0]
    for path, parent in zip(paths, parents, strict=True):
        if parent.config != first.config:
            difference = _difference(first.config, parent.config)
            raise ImseError(f"{path}: another network than that of {paths[0]}: {difference}")
        _check_same_tensors(path, parent.tensors, paths[0], first.tensors)
    mean = {
        name: sum(
            share * parent.tensors[name].astype(np.float64) for share, parent in zip(normalised, parents, strict=True)
        )
        for name in first.tensors
    }
    record = [
        {"name": parent.name, "sha256": hashlib.sha256(content).hexdigest(), "share": share}
        for parent, content, share in zip(parents, contents, normalised, strict=True)
    ]
    facts = {**(metadata or {}), CONFIG_KEY: json.dumps(first.config), PARENTS_KEY: json.dumps(record)}
    with atomic_write(Path(output)) as file:
        file.write(serialize({name: np.asarray(x, np.float32) for name, x in mean.items()}, facts))


def _normalise(shares: Sequence[float] | None, count: int) -> list[float]:
    if shares is None:
        return [1 / count] * count
    if len(shares) != count:
        raise ImseError(f"{len(shares)} weights for {count} files: give one for each file")
    if not all(math.isfinite(share) and share >= 0 for share in shares) or sum(shares) <= 0:
        raise ImseError("weights of a mean are at least 0, and not all 0")
    total = math.fsum(shares)
    return [share / total for share in shares]


class _Parent(NamedTuple):
    """A file to average; its name is the one in its metadata (that of a run's recipe), or else that of the file."""

    name: str
    config: dict[str, Any]
    tensors: Tensors


def _read(path: Path, content: bytes) -> _Parent:
    try:
        tensors = load(content)
        start = 8 + int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8:start])["__metadata__"]
        config = dict(json.loads(metadata[CONFIG_KEY]))
    except (SafetensorError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ImseError(
            f"{path}: not a safetensors file of imse, or a damaged one; published weights need 'imse convert' first"
        ) from error
    for name, tensor in tensors.items():
        if not np.issubdtype(tensor.dtype, np.floating) or not np.isfinite(tensor).all():
            raise ImseError(f"{path}: {name} is not all finite numbers")
    return _Parent(metadata.get("name", path.stem), config, tensors)


def _check_same_tensors(path: Path, tensors: Tensors, first: Path, expected: Tensors) -> None:
    shapes, wanted = ({name: tensor.shape for name, tensor in part.items()} for part in (tensors, expected))
    for name in sorted(shapes.keys() | wanted.keys()):
        if shapes.get(name) != wanted.get(name):
            raise ImseError(f"{path}: {name} is {shapes.get(name)}, but {wanted.get(name)} in {first}")


def _difference(config: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {other.get(key)} instead of {config.get(key)}"
        for key in sorted(config.keys() | other.keys())
        if config.get(key) != other.get(key)
    )
