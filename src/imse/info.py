"""Descriptions of weights files, and a comparison of the network family, as text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imse.cost import Cost, Shapes, costs
from imse.errors import ImseError, printable
from imse.weights import CONFIG_KEY, FOLDER, PARENTS_KEY, find, names
from imse.weights.header import NotSafetensorsError, read_header

if TYPE_CHECKING:
    from imse.nn import NetworkConfig

# Metadata keys shown first, as every weights file should have them; others follow.
_ORIGIN = ("license", "training_data")
# From the baseline to IMSE: attention, embedding.
_FAMILY = {
    "MUSE": ("met", "de"),
    "MET + IDConv": ("met", "idconv"),
    "MALA + DE": ("mala", "de"),
    "IMSE": ("mala", "idconv"),
}
# Parameters of the selective fusions, which only the published code has; they have no effect (see `imse.upstream`).
_SELECTIVE_FUSION = 1_607

Rows = list[Sequence[str]]


def describe(weights: Path) -> str:
    """Network and origin of weights, and the cost of each part of the network.

    Args:
        weights: A file that `imse.checkpoint.load` opens, or an ONNX file, of which the cost of its parts is not given.
            Only the authors' published files need torch.

    Raises:
        ImseError: The file is neither.
        OSError: The file cannot be read.
        ModuleNotFoundError: A published file, and torch is not installed.
    """
    if weights.suffix == ".onnx":
        metadata = _onnx_metadata(weights)
        return _table(_facts(weights, _parsed(metadata.pop(CONFIG_KEY), weights), metadata))
    config, shapes, metadata = _network(weights)
    parts: Rows = [("", "parameters", "GMAC per second")]
    parts += [(part, f"{cost.parameters:,}", f"{cost.gmacs:.2f}") for part, cost in _costs(weights, shapes).items()]
    return _table(_facts(weights, config, metadata)) + "\n\n" + _table(parts)


def packaged() -> str:
    """A table of the weights in the package: size, cost, licence and quality."""
    scores = json.loads((FOLDER / "scores.json").read_text(encoding="utf-8"))
    corpora = list(dict.fromkeys(corpus for found in scores.values() for corpus in found))
    rows: Rows = [("", "parameters", "GMAC/s", "MB", "licence", *(f"PESQ, STOI: {corpus}" for corpus in corpora))]
    for name in names():
        file = find(name, ".safetensors")
        _, shapes, metadata = _network(file)
        total = _costs(file, shapes)["total"]
        quality = (scores.get(name, {}).get(corpus) for corpus in corpora)
        rows.append(
            (
                name,
                f"{total.parameters:,}",
                f"{total.gmacs:.2f}",
                f"{file.stat().st_size / 1e6:.1f}",
                metadata["license"].partition(";")[0],
                *(f"{found['pesq']:.2f}, {found['stoi']:.3f}" if found else "-" for found in quality),
            )
        )
    return _table(rows)


def _network(weights: Path) -> tuple[dict[str, Any], Shapes, dict[str, str]]:
    """Configuration, shapes of tensors, and metadata on the origin of a file that is not ONNX."""
    try:
        metadata, shapes = read_header(weights)
    except NotSafetensorsError:
        if weights.suffix == ".safetensors":
            raise
        from dataclasses import asdict

        from imse.checkpoint import load_with_metadata

        network, metadata = load_with_metadata(weights)
        return asdict(network.config), {name: x.shape for name, x in network.state_dict().items()}, metadata
    if CONFIG_KEY not in metadata:
        raise ImseError(f"{weights}: a safetensors file, but not of imse: no '{CONFIG_KEY}' in its metadata")
    config = _parsed(metadata.pop(CONFIG_KEY), weights)
    _check(config, shapes, weights)
    return config, shapes, metadata


def _check(config: Mapping[str, Any], shapes: Shapes, weights: Path) -> None:
    """Refuse a configuration that other tensors than those in the file would belong to."""
    blocks = {found[1] for name in shapes if (found := re.match(r"unet\.\w+\.blocks\.(\d+)\.", name))}
    sizes = {"channels": "encoder.entry.0.bias", "bins": "magnitude_decoder.sigmoid.slope"}
    values = {"blocks": len(blocks), **{size: next(iter(shapes.get(name, ())), 0) for size, name in sizes.items()}}
    for size, value in values.items():
        if config.get(size) != value:
            raise ImseError(
                f"{weights}: unusable network configuration: {config.get(size)} {size}, but tensors of {value}"
            )


def _costs(weights: Path, shapes: Shapes) -> dict[str, Cost]:
    try:
        return costs(shapes)
    except ImseError as error:
        raise ImseError(f"{weights}: {error}") from error


def compare() -> str:
    """A table of the network family at the published size. The real-time factors in it are measured by this call.

    `imse.cost.costs` defines the parts and what is counted in each.
    """
    from imse.cost import real_time_factors, shapes_of
    from imse.nn import NetworkConfig

    configs = [NetworkConfig(attention=attention, embedding=embedding) for attention, embedding in _FAMILY.values()]
    networks = [costs(shapes_of(config)) for config in configs]
    totals = [parts["total"] for parts in networks]
    factors = real_time_factors(configs)
    published = [total.parameters + _SELECTIVE_FUSION for total in totals]
    names = [part for part in networks[0] if part != "total"]
    rows: Rows = [
        ("", *_FAMILY),
        ("parameters, as published", *(f"{count:,}" for count in published)),
        ("parameters, live", *(f"{total.parameters:,}" for total in totals)),
        *((f"  {name}", *(f"{parts[name].parameters:,}" for parts in networks)) for name in names),
        ("GMAC per second of audio", *(f"{total.gmacs:.2f}" for total in totals)),
        *((f"  {name}", *(f"{parts[name].gmacs:.2f}" for parts in networks)) for name in names),
        ("real-time factor, torch, 1 thread", *(f"{factor:.3f}" for factor in factors)),
        ("  relative to MUSE", *(f"{factor / factors[0]:.2f}" for factor in factors)),
        ("state in float32, MB", *(f"{4 * total.parameters / 1e6:.2f}" for total in totals)),
    ]
    muse, imse = published[0], published[-1]
    embeddings = networks[-1]["embeddings"].parameters
    without = imse - embeddings
    note = (
        f"IMSE has {1 - imse / muse:.1%} fewer parameters than MUSE. The paper's {1 - without / muse:.1%} and "
        f"{without / 1e6:.3f} M leave out\nthe {embeddings:,} parameters of IMSE's seven embeddings."
    )
    return f"{_table(rows)}\n\n{note}"


def network_config(weights: Path) -> NetworkConfig:
    """Configuration of the network in a weights file, which is any file that `describe` accepts.

    Raises:
        ImseError: The file is not such a file.
        OSError: The file cannot be read.
        ModuleNotFoundError: torch is not installed.
    """
    from imse.checkpoint import load, parse_config

    if weights.suffix == ".onnx":
        return parse_config(_onnx_metadata(weights)[CONFIG_KEY], weights)
    return load(weights).config


def _facts(weights: Path, config: Mapping[str, Any], metadata: Mapping[str, str]) -> Rows:
    stated = {**dict.fromkeys(_ORIGIN, "not stated in the file"), **metadata}
    rows: Rows = [
        ("weights", f"{weights} ({weights.stat().st_size / 1e6:.1f} MB)"),
        ("network", ", ".join(f"{name} {value}" for name, value in config.items())),
        *(
            (name.replace("_", " "), _parents_text(value) if name == PARENTS_KEY else value)
            for name, value in stated.items()
        ),
    ]
    return [tuple(map(printable, row)) for row in rows]


def _parents_text(parents: str) -> str:
    """What `imse.weights.average` wrote of the parents, for people."""
    try:
        return ", ".join(f"{parent['share']:.3g} of {parent['name']}" for parent in json.loads(parents))
    except (KeyError, RecursionError, TypeError, ValueError):
        return parents


def _parsed(text: str, weights: Path) -> dict[str, Any]:
    """The network's configuration, as it is stated: what it means is known to torch's network alone."""
    try:
        config = json.loads(text)
    except (RecursionError, ValueError) as error:
        raise ImseError(f"{weights}: unusable network configuration: {error}") from error
    if not isinstance(config, dict):
        raise ImseError(f"{weights}: unusable network configuration: not a table")
    return config


def _onnx_metadata(weights: Path) -> dict[str, str]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are reported in one line, below
    # The file is read, not run, so that optimisation would be wasted time.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = weights.read_bytes()
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no common base
        raise ImseError(f"{weights}: not an ONNX file, or a damaged one") from error
    metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    if CONFIG_KEY not in metadata:
        raise ImseError(f"{weights}: an ONNX file, but not one that 'imse export' wrote")
    return metadata


def _table(rows: Rows) -> str:
    """Align rows in columns: the first to the left, the others to the right; two columns both to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = len(widths) > 2
    lines = [
        "  ".join(
            cell.rjust(width) if right and i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
