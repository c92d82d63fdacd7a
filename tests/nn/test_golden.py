"""The networks against outputs of the authors' code with the published weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from imse.checkpoint import load
from imse.nn import Network
from imse.nn.stage import Block


class Case(NamedTuple):
    network: Network
    golden: dict[str, Tensor]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("imse_g_best_pesq_3.399", "golden_imse_3399.safetensors"), id="imse"),
        pytest.param(("muse_g_best", "golden_muse.safetensors"), id="muse"),
    ],
)
def case(request: pytest.FixtureRequest, reference: Path) -> Case:
    weights, golden = request.param
    return Case(load(reference / weights), load_file(reference / golden))


@pytest.fixture(scope="module")
def maps(case: Case) -> dict[str, Tensor]:
    """The network's outputs, and the feature maps that pass through its parts, under the golden names."""
    network, golden = case
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

    handles = [part.register_forward_hook(record(name)) for name, part in parts.items()]
    with torch.no_grad():
        maps["magnitude"], maps["phase"] = network(golden["mag"], golden["pha"])
    for handle in handles:
        handle.remove()
    # The golden stages are recorded before the stage adds its input, the mask as a map with one channel.
    for stage in ("latent", "decoder_level1"):
        maps[stage] = maps[f"{stage}_out"] - maps[f"{stage}_in"]
    maps["mask_decoder"] = maps["mask_decoder_out"].transpose(1, 2).unsqueeze(1)
    maps["dense_encoder"] = maps["dense_encoder_out"]
    maps["encoder_level1_block0"] = maps["encoder_level1_block0_out"]
    return maps


def test_magnitude(maps: dict[str, Tensor], case: Case) -> None:
    torch.testing.assert_close(maps["magnitude"], case.golden["out_mag"], atol=1e-4, rtol=0)


def test_spectrum(maps: dict[str, Tensor], case: Case) -> None:
    expected = torch.polar(case.golden["out_mag"], case.golden["out_pha"])
    assert (torch.polar(maps["magnitude"], maps["phase"]) - expected).abs().max() < 1e-3


def test_intermediates(maps: dict[str, Tensor], case: Case) -> None:
    recorded = [name.removeprefix("act.") for name in case.golden if name.startswith("act.")]
    assert len(recorded) >= 7
    for name in recorded:
        error = (maps[name] - case.golden[f"act.{name}"]).abs() / (1 + maps[name].abs())
        assert error.max() < 1e-4, name
