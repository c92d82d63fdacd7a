"""The networks against what their authors' code computes with the published weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from imse.checkpoint import load
from imse.nn.stage import Block


@pytest.fixture(scope="module")
def golden(reference: Path) -> dict[str, Tensor]:
    return load_file(reference / "golden_imse_3399.safetensors")


@pytest.fixture(scope="module")
def recorded(reference: Path, golden: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network's outputs, and the feature maps that pass through its parts, on the golden inputs."""
    network = load(reference / "imse_g_best_pesq_3.399")
    first = network.unet.encoder1.blocks[0]
    assert isinstance(first, Block)
    parts: dict[str, nn.Module] = {
        "embed": network.unet.encoder1.embedding,
        "mala": first.attention,
        "dense_encoder": network.encoder,
        "encoder_level1_block0": first,
        "latent": network.unet.latent,
        "decoder_level1": network.unet.decoder1,
        "mask_decoder": network.magnitude_decoder,
    }
    maps: dict[str, Tensor] = {}

    def record(name: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            maps[f"{name}_in"], maps[f"{name}_out"] = inputs[0], output

        return hook

    for name, part in parts.items():
        part.register_forward_hook(record(name))
    with torch.no_grad():
        magnitude, phase = network(golden["mag"], golden["pha"])
    maps |= {"magnitude": magnitude, "spectrum": torch.polar(magnitude, phase)}
    # The golden stages are recorded before the stage adds its input, the mask as a map with one channel.
    for stage in ("latent", "decoder_level1"):
        maps[f"{stage}_out"] = maps[f"{stage}_out"] - maps[f"{stage}_in"]
    maps["mask_decoder_out"] = maps["mask_decoder_out"].transpose(1, 2).unsqueeze(1)
    return maps


def test_magnitude(recorded: dict[str, Tensor], golden: dict[str, Tensor]) -> None:
    torch.testing.assert_close(recorded["magnitude"], golden["out_mag"], atol=1e-4, rtol=0)


def test_spectrum(recorded: dict[str, Tensor], golden: dict[str, Tensor]) -> None:
    expected = torch.polar(golden["out_mag"], golden["out_pha"])
    assert (recorded["spectrum"] - expected).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("embed_in", "embed_in"),
        ("embed_out", "embed_out"),
        ("mala_in", "mala_in"),
        ("mala_out", "mala_out"),
        ("dense_encoder_out", "dense_encoder"),
        ("encoder_level1_block0_out", "encoder_level1_block0"),
        ("latent_out", "latent"),
        ("decoder_level1_out", "decoder_level1"),
        ("mask_decoder_out", "mask_decoder"),
    ],
)
def test_intermediate(recorded: dict[str, Tensor], golden: dict[str, Tensor], ours: str, theirs: str) -> None:
    torch.testing.assert_close(recorded[ours], golden[f"act.{theirs}"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["imse_g_best_pesq_3.399", "imse_g_best_pesq_3.373"])
def test_published_weights_load(reference: Path, name: str) -> None:
    assert sum(p.numel() for p in load(reference / name).parameters()) == 431_388
