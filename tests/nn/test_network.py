"""Properties of every network of the family: sizes, shapes, gradients."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from imse.engine.onnx import OnnxEngine
from imse.export.onnx import export_onnx
from imse.nn import IMSE, MUSE, Network, NetworkConfig
from imse.nn.dense import ConvNormPReLU
from imse.nn.parts import ATTENTIONS, EMBEDDINGS
from imse.nn.rotary import rotary_table

FAMILY = [(attention, embedding) for attention in ATTENTIONS for embedding in EMBEDDINGS]
every_network = pytest.mark.parametrize(("attention", "embedding"), FAMILY)


def small(attention: str, embedding: str) -> Network:
    torch.manual_seed(0)
    return Network(NetworkConfig(channels=8, blocks=1, bins=16, attention=attention, embedding=embedding)).eval()


def random_spectrum(batch: int, bins: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    magnitude, turns = torch.rand(2, batch, bins, frames, generator=generator)
    return magnitude, (2 * turns - 1) * torch.pi


@pytest.mark.parametrize(
    ("attention", "embedding", "parameters"),
    [("mala", "idconv", 431_388), ("mala", "de", 436_976), ("met", "idconv", 505_820), ("met", "de", 511_408)],
)
def test_parameters(attention: str, embedding: str, parameters: int) -> None:
    network = Network(NetworkConfig(attention=attention, embedding=embedding))
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_names() -> None:
    assert (IMSE().config.attention, IMSE().config.embedding) == ("mala", "idconv")
    assert (MUSE().config.attention, MUSE().config.embedding) == ("met", "de")
    assert IMSE(NetworkConfig(channels=8)).config.channels == 8


@every_network
@settings(max_examples=12, deadline=None)
@given(batch=st.integers(1, 3), frames=st.integers(1, 23), seed=st.integers(0, 2**31))
@torch.no_grad()
def test_any_length_and_batch(attention: str, embedding: str, batch: int, frames: int, seed: int) -> None:
    """Each element of a batch is computed by itself, and a length is the crop of one with the last frame repeated."""
    network = small(attention, embedding)
    magnitude, phase = random_spectrum(batch, 16, frames, seed)
    together = torch.polar(*network(magnitude, phase))
    assert together.shape == magnitude.shape
    apart = torch.cat([torch.polar(*network(magnitude[i : i + 1], phase[i : i + 1])) for i in range(batch)])
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)
    repeated = [torch.cat([x, x[..., -1:].expand(-1, -1, -frames % 4)], dim=-1) for x in (magnitude, phase)]
    torch.testing.assert_close(together, torch.polar(*network(*repeated))[..., :frames], atol=1e-4, rtol=1e-4)


def without_effect(network: Network) -> dict[str, Tensor]:
    """Which elements of the published networks' parameters do nothing: a mask for each parameter.

    These are the half of each decoder's expansion that the next stride drops (see `imse.nn.decoders.Expand`), and
    the biases that an instance norm takes off again.
    """
    masks = {name: torch.zeros_like(p, dtype=torch.bool) for name, p in network.named_parameters()}
    for name, module in network.named_modules():
        if isinstance(module, ConvNormPReLU):
            masks[f"{name}.0.bias"][:] = True
    masks["magnitude_decoder.merge.bias"][:] = True
    for decoder in ("magnitude", "phase"):
        masks[f"{decoder}_decoder.expand.expand.weight"].view(16, 2, 2, 16)[:, 1] = True
    return masks


@every_network
def test_no_dead_parameters(attention: str, embedding: str) -> None:
    """Every element has a gradient except 1,249 known ones, which have no effect on the output."""
    torch.manual_seed(1)
    network = Network(NetworkConfig(attention=attention, embedding=embedding)).double()
    spectrum = [x.double() for x in random_spectrum(batch=1, bins=256, frames=48)]
    outputs = torch.view_as_real(torch.polar(*network(*spectrum)))
    parameters = dict(network.named_parameters())
    gradients = torch.autograd.grad(outputs, list(parameters.values()), torch.randn_like(outputs))
    idle = without_effect(network)
    assert sum(int(mask.sum()) for mask in idle.values()) == 2 * 512 + 225
    dead = {name: (g == 0) & ~idle[name] for name, g in zip(parameters, gradients, strict=True)}
    assert [name for name, elements in dead.items() if elements.any()] == []

    with torch.no_grad():
        for name, mask in idle.items():
            parameters[name][mask] += 1
        changed = torch.view_as_real(torch.polar(*network(*spectrum)))
    torch.testing.assert_close(changed, outputs, atol=1e-8, rtol=0)


@torch.no_grad()
def test_one_rotary_table_for_each_resolution() -> None:
    with patch("imse.nn.unet.rotary_table", wraps=rotary_table) as table:
        small("mala", "idconv")(*random_spectrum(1, 16, 8))
    assert [call.args[:2] for call in table.call_args_list] == [(8, 8), (4, 4), (2, 2)]


@pytest.mark.parametrize(
    ("attention", "embedding"), [("met", "idconv"), pytest.param("mala", "de", marks=pytest.mark.slow)]
)
@torch.no_grad()
def test_the_baseline_parts_export_to_onnx(tmp_path: Path, attention: str, embedding: str) -> None:
    """Equal to torch at sizes that the exporter did not see. Other tests export MALA and IDConv."""
    network = small(attention, embedding)
    export_onnx(network, tmp_path / "network.onnx")
    engine = OnnxEngine(tmp_path / "network.onnx")
    for batch, frames in ((1, 1), (3, 50)):
        spectrum = random_spectrum(batch, 16, frames)
        expected = torch.polar(*network(*spectrum))
        magnitude, phase = (torch.from_numpy(part) for part in engine.run(*(part.numpy() for part in spectrum)))
        torch.testing.assert_close(torch.polar(magnitude, phase), expected, atol=1e-3, rtol=0)


def test_exporting_leaves_the_network_in_its_mode_and_names_the_file_in_errors(tmp_path: Path) -> None:
    network = small("met", "idconv").train()
    with pytest.raises(IsADirectoryError, match=re.escape(f"'{tmp_path}'")):
        export_onnx(network, tmp_path)
    assert all(module.training for module in network.modules())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"channels": 12}, "channels must be a positive multiple of 8, not 12"),
        ({"blocks": 0}, "blocks must be at least 1, not 0"),
        ({"bins": 100}, "bins must be a positive multiple of 8, not 100"),
        ({"attention": "softmax"}, "attention must be one of mala, met, not softmax"),
        ({"embedding": "conv"}, "embedding must be one of idconv, de, not conv"),
    ],
)
def test_a_setting_that_cannot_be(setting: dict[str, int | str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        NetworkConfig(**setting)  # type: ignore[arg-type]
