"""Opening and saving weights: the files the authors published, and our own safetensors files.

Our files carry the network's configuration, and what is known of the weights' origin, in their metadata.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from imse.errors import ImseError
from imse.nn import IMSE, NetworkConfig

CONFIG_KEY = "imse.network"

_STAGES = {
    "encoder_level1": "encoder1",
    "encoder_level2": "encoder2",
    "latent": "latent",
    "decoder_level2": "decoder2",
    "decoder_level1": "decoder1",
    "mag_refinement": "refine_magnitude",
    "pha_refinement": "refine_phase",
}
_EMBEDDINGS = {
    "patch_embed_encoder_level1": "encoder1",
    "patch_embed_encoder_level2": "encoder2",
    "patch_embed_latent": "latent",
    "patch_embed_decoder_level2": "decoder2",
    "patch_embed_decoder_level1": "decoder1",
    "mag_patch_embed_refinement": "refine_magnitude",
    "pha_patch_embed_refinement": "refine_phase",
}
_PARTS = {
    "patch_embeds.0.patch_conv.pwconv": "embedding.pointwise",
    "patch_embeds.0.patch_conv.dwconv_hw": "embedding.square",
    "patch_embeds.0.patch_conv.dwconv_w": "embedding.frequency",
    "patch_embeds.0.patch_conv.dwconv_h": "embedding.time",
    "norm1.body": "norm1",
    "norm2.body": "norm2",
    "mala": "attention",
    "ffn.dwconv": "ffn.depthwise",
    "ffn": "ffn",
}
# Published prefix to ours, most specific first; the first that matches is applied.
_RULES: list[tuple[str, str]] = [
    (r"dense_encoder\.dense_conv_1\.", "encoder.entry."),
    (r"dense_encoder\.dense_block\.dense_block\.", "encoder.dense.layers."),
    (r"dense_encoder\.dense_conv_2\.", "encoder.halve."),
    *(
        (rf"TCFTransformer\.{published}\.mhca_blks\.0\.transformer_layers\.", f"unet.{ours}.blocks.")
        for published, ours in _STAGES.items()
    ),
    *((rf"TCFTransformer\.{published}\.", f"unet.{ours}.") for published, ours in _EMBEDDINGS.items()),
    (r"TCFTransformer\.(down|up)(?:(1)_2|(2)_3|3_(2)|2_(1))\.body\.", r"unet.\1\2\3\4\5."),
    (r"TCFTransformer\.reduce_chan_level(\d)\.0\.", r"unet.reduce\1."),
    (r"TCFTransformer\.mag_output\.0\.", "unet.magnitude_out."),
    (r"TCFTransformer\.pha_output\.0\.", "unet.phase_out."),
    (r"mask_decoder\.dense_block\.dense_block\.", "magnitude_decoder.dense.layers."),
    (r"mask_decoder\.mask_conv\.0\.", "magnitude_decoder.expand.expand."),
    (r"mask_decoder\.mask_conv\.2\.", "magnitude_decoder.expand.depthwise."),
    (r"mask_decoder\.mask_conv\.3\.", "magnitude_decoder.merge."),
    (r"mask_decoder\.mask_conv\.4\.", "magnitude_decoder.norm."),
    (r"mask_decoder\.mask_conv\.5\.", "magnitude_decoder.prelu."),
    (r"mask_decoder\.mask_conv\.6\.", "magnitude_decoder.out."),
    (r"mask_decoder\.lsigmoid\.", "magnitude_decoder.sigmoid."),
    (r"phase_decoder\.dense_block\.dense_block\.", "phase_decoder.dense.layers."),
    (r"phase_decoder\.phase_conv\.0\.", "phase_decoder.expand.expand."),
    (r"phase_decoder\.phase_conv\.2\.", "phase_decoder.expand.depthwise."),
    (r"phase_decoder\.phase_conv\.3\.", "phase_decoder.norm."),
    (r"phase_decoder\.phase_conv\.4\.", "phase_decoder.prelu."),
    (r"phase_decoder\.phase_conv_r\.", "phase_decoder.real."),
    (r"phase_decoder\.phase_conv_i\.", "phase_decoder.imag."),
]
# Tensors of the published files that do nothing: the rotary angles, which are computed here, and a selective fusion
# (SKFF) of every stage's single path with itself, whose softmax over one path is always 1.
_DEAD = re.compile(r"\.rope\.angle$|\.aggregate\.")


class CheckpointError(ImseError, ValueError):
    """A file that does not hold weights of a network of this family; the message says what is wrong with it."""


def load(path: str | Path) -> IMSE:
    """Open weights as a network in evaluation mode, on the CPU.

    Args:
        path: A file the authors published (a pickled ``{"generator": tensors}``) or one of our safetensors files.

    Raises:
        FileNotFoundError: No such file.
        CheckpointError: The file is neither, or its tensors do not fit the network.
    """
    return load_with_metadata(path)[0]


def load_with_metadata(path: str | Path) -> tuple[IMSE, dict[str, str]]:
    """As `load`, with what the file says of its weights' origin (empty for a published file)."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    tensors, metadata = _read_safetensors(path)
    if tensors is None:
        tensors = _from_published(_read_published(path))
        config = NetworkConfig()
    else:
        config = _config(metadata.pop(CONFIG_KEY, None), path)
    network = IMSE(config)
    _check_names(tensors, network.state_dict(), path)
    network.load_state_dict(tensors)
    return network.eval(), metadata


def save(network: IMSE, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network's weights and configuration as safetensors, whole or not at all.

    Args:
        network: The network.
        path: The file to write, replaced if there.
        metadata: What is known of the weights' origin: name, licence, training data, ...
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    config = json.dumps(asdict(network.config))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    try:
        save_file(tensors, partial, metadata={**(metadata or {}), CONFIG_KEY: config})
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor] | None, dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 - not a dict
    except SafetensorError:
        return None, {}


def _read_published(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: neither a safetensors file nor a published checkpoint") from error
    generator = content.get("generator") if isinstance(content, dict) else None
    if not isinstance(generator, dict) or not all(isinstance(tensor, Tensor) for tensor in generator.values()):
        raise CheckpointError(f"{path}: a torch file, but not a published checkpoint: no tensors under 'generator'")
    return generator


def _config(text: str | None, path: Path) -> NetworkConfig:
    if text is None:
        raise CheckpointError(f"{path}: a safetensors file, but not of imse: no '{CONFIG_KEY}' in its metadata")
    try:
        return NetworkConfig(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: unusable network configuration: {error}") from error


def _from_published(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published tensors under our names, without the dead ones."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in published.items():
        if not _DEAD.search(name):
            tensors[_rename(name)] = tensor
    return tensors


def _rename(name: str) -> str:
    for pattern, replacement in _RULES:
        renamed, count = re.subn(rf"^{pattern}", replacement, name)
        if count:
            break
    else:
        return name
    for published, ours in _PARTS.items():
        if f".{published}." in renamed:
            return renamed.replace(f".{published}.", f".{ours}.")
    return renamed


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
