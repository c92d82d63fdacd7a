"""Open and save weights: the files that the authors published, and our own safetensors files.

The metadata of our files has the network's configuration and the origin of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from imse.atomic_write import atomic_write
from imse.errors import ImseError
from imse.nn import Network, NetworkConfig
from imse.upstream import config_of, renamed
from imse.weights import CONFIG_KEY, require_file
from imse.weights.serialization import serialize


class CheckpointError(ImseError, ValueError):
    """A file without weights of a network of this family; the message says what is wrong with it."""


def load(path: str | Path) -> Network:
    """Open weights as a network in evaluation mode, on the CPU, in float32.

    Args:
        path: A file that the authors of IMSE or MUSE published (a pickled ``{"generator": tensors}``; only tensors are
            unpickled), or one of our safetensors files. The network's configuration follows from the file.

    Raises:
        OSError: The file cannot be read.
        CheckpointError: The file is neither, or its tensors do not fit the network or are not finite.
        ImseError: A pipe or a device.
    """
    return load_with_metadata(path)[0]


def load_with_metadata(path: str | Path) -> tuple[Network, dict[str, str]]:
    """As `load`, with the file's metadata on the origin of the weights (empty for a published file)."""
    path = Path(path)
    require_file(path)
    with path.open("rb"):
        pass  # raises the system's own error, which names the file
    tensors, metadata = _read_safetensors(path)
    if tensors is None:
        published = _read_published(path)
        tensors, config = renamed(published), config_of(published)
    else:
        config = parse_config(metadata.pop(CONFIG_KEY, None), path)
    # Every block of each of the seven stages has more tensors than this: others would take for ever to build.
    if 7 * 8 * config.blocks > len(tensors):
        count = f"{config.blocks} blocks of {len(tensors)} tensors"
        raise CheckpointError(f"{path}: unusable network configuration: {count}")
    network = _unfilled(config, path)
    _check_names(tensors, network.state_dict(), path)
    numbers = {name: tensor.float() for name, tensor in tensors.items()}
    if broken := [name for name, tensor in numbers.items() if not tensor.isfinite().all()]:
        raise CheckpointError(f"{path}: damaged weights: {broken[0]} has a value that is not finite")
    network.load_state_dict(numbers, assign=True)
    return network.eval(), metadata


def save(network: Network, path: str | Path, metadata: Mapping[str, str] | None = None, *, half: bool = False) -> None:
    """Write a network's weights and configuration as safetensors, whole or not at all.

    Args:
        network: The network.
        path: The file to write. An existing file is replaced, and missing folders are created.
        metadata: Origin of the weights: name, licence, training data, ...
        half: Write float16 instead of the network's own type. Whatever opens the file computes in float32.

    Raises:
        OSError: The file cannot be written.
        CheckpointError: Weights that float16 does not hold.
        ImseError: The path is a device or a pipe, or another process is writing the file.
    """
    config = json.dumps(asdict(network.config))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    if half:
        tensors = {name: _halved(name, tensor) for name, tensor in tensors.items()}
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    content = serialize(arrays, {**(metadata or {}), CONFIG_KEY: config})
    with atomic_write(Path(path)) as file:
        file.write(content)


def _halved(name: str, tensor: Tensor) -> Tensor:
    if tensor.abs().max() > torch.finfo(torch.float16).max:
        raise CheckpointError(f"{name} has values that 16 bits do not hold: write it without half")
    return tensor.half()


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor] | None, dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        if path.suffix == ".safetensors":
            raise CheckpointError(f"{path}: not a safetensors file, or a damaged one: {error}") from error
        return None, {}


def _read_published(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler may raise anything on arbitrary bytes
        raise CheckpointError(f"{path}: neither a safetensors file nor a published checkpoint, or damaged") from error
    generator = content.get("generator") if isinstance(content, dict) else None
    if not isinstance(generator, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in generator.items()
    ):
        raise CheckpointError(f"{path}: a torch file, but not a published checkpoint: no tensors under 'generator'")
    return generator


def parse_config(text: str | None, path: Path) -> NetworkConfig:
    """The configuration of a network, from what the metadata of a file have under `CONFIG_KEY`.

    Raises:
        CheckpointError: They have nothing there, or no such configuration. The message names `path`.
    """
    if text is None:
        raise CheckpointError(f"{path}: a safetensors file, but not of imse: no '{CONFIG_KEY}' in its metadata")
    try:
        return NetworkConfig(**json.loads(text))
    except (RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: unusable network configuration: {error}") from error


def _unfilled(config: NetworkConfig, path: Path) -> Network:
    """A network without memory for its parameters, so that names and shapes are checked before allocation."""
    try:
        with torch.device("meta"):
            return Network(config)
    except (TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path}: unusable network configuration: {config}") from error


def _check_names(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    problems = [f"missing {name}" for name in expected if name not in tensors]
    problems += [f"unexpected {name}" for name in tensors if name not in expected]
    problems += [
        f"{name} is {list(tensor.shape)} instead of {list(expected[name].shape)}"
        for name, tensor in tensors.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    if problems:
        shown = ", ".join(problems[:4]) + (f" and {len(problems) - 4} more" if len(problems) > 4 else "")
        raise CheckpointError(f"{path}: not the weights of this network: {shown}")
