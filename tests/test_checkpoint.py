"""Opening and saving weights: published files, our own files, and errors for all others."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from imse.checkpoint import CheckpointError, load, load_with_metadata, save
from imse.errors import ImseError
from imse.nn import IMSE, MUSE, Network, NetworkConfig
from imse.weights import CONFIG_KEY

SMALL = NetworkConfig(channels=8, blocks=1, bins=16, attention="met", embedding="de")


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A file of our own."""
    path = tmp_path / "ours.safetensors"
    save(Network(SMALL), path, {"license": "MIT"})
    return path


def published(path: Path) -> dict[str, Tensor]:
    content: dict[str, dict[str, Tensor]] = torch.load(path, map_location="cpu", weights_only=True)
    return content["generator"]


@pytest.mark.parametrize(
    ("name", "tensors", "in_file", "config"),
    [
        ("imse_g_best_pesq_3.399", 507, 432_995, IMSE().config),
        ("imse_g_best_pesq_3.373", 507, 432_995, IMSE().config),
        ("muse_g_best", 586, 513_015, MUSE().config),
    ],
)
def test_published_weights(reference: Path, name: str, tensors: int, in_file: int, config: NetworkConfig) -> None:
    """Every tensor is used but the rotary angles, which are no parameters, and 1,607 parameters without effect."""
    network, metadata = load_with_metadata(reference / name)
    assert network.config == config
    assert metadata == {}
    assert not network.training
    generator = published(reference / name)
    assert len(generator) == tensors
    parameters = sum(tensor.numel() for key, tensor in generator.items() if not key.endswith("rope.angle"))
    assert parameters == in_file
    assert sum(parameter.numel() for parameter in network.parameters()) == in_file - 1_607


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.pop("TCFTransformer.latent.mhca_blks.0.transformer_layers.2.mala.proj.bias"),
         "missing unet.latent.blocks.2.attention.proj.bias"),
        (lambda g: g.update(discriminator=torch.ones(1)), "unexpected discriminator"),
        (lambda g: g.update({"mask_decoder.lsigmoid.slope": torch.ones(201, 1)}),
         "magnitude_decoder.sigmoid.slope is [201, 1] instead of [256, 1]"),
    ],
)  # fmt: skip
def test_published_weights_that_do_not_fit(
    reference: Path, tmp_path: Path, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    generator = published(reference / "imse_g_best_pesq_3.399")
    change(generator)
    torch.save({"generator": generator}, tmp_path / "g_best")
    with pytest.raises(CheckpointError, match=re.escape(f"g_best: not the weights of this network: {message}") + "$"):
        load(tmp_path / "g_best")


def test_a_round_trip_keeps_every_bit(tmp_path: Path) -> None:
    network, path = Network(SMALL), tmp_path / "ours.safetensors"
    metadata = {"license": "MIT", "training_data": "VoiceBank+DEMAND, 28 speakers"}
    save(network, path, metadata)
    opened, found = load_with_metadata(path)
    assert (opened.config, found) == (SMALL, metadata)
    assert opened.state_dict().keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, opened.state_dict()[name])
    assert all(parameter.requires_grad for parameter in opened.parameters())


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_are_finite(value: float, tmp_path: Path) -> None:
    network, path = Network(SMALL), tmp_path / "ours.safetensors"
    name, parameter = list(network.named_parameters())[7]
    with torch.no_grad():
        parameter.view(-1)[-1] = value
    save(network, path)
    with pytest.raises(
        CheckpointError, match=rf"ours.safetensors: damaged weights: {name} has a value that is not fin"
    ):
        load(path)


def test_saving_is_all_or_nothing(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ours.read_bytes()

    def disk_full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", disk_full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/ours\.safetensors'"):
        save(IMSE(), ours)
    assert ours.read_bytes() == before
    assert list(ours.parent.iterdir()) == [ours]


def test_saving_makes_missing_folders(tmp_path: Path) -> None:
    save(Network(SMALL), tmp_path / "new" / "ours.safetensors")
    assert load(tmp_path / "new" / "ours.safetensors").config == SMALL


def test_saving_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"file/ours\.safetensors'"):
        save(Network(SMALL), tmp_path / "file" / "ours.safetensors")
    with pytest.raises(IsADirectoryError, match=re.escape(f"'{tmp_path}'")):
        save(Network(SMALL), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        load(tmp_path / "absent")
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        load(tmp_path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImseError, match=r"pipe: a pipe or a device; weights are read from a file$"):
        load(tmp_path / "pipe")
    with pytest.raises(ImseError, match="null: a pipe or a device"):
        load("/dev/null")


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_safetensors_file_cut_short(ours: Path, kept: int) -> None:
    ours.write_bytes(ours.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"ours\.safetensors: not a safetensors file, or a damaged one: "):
        load(ours)


@pytest.mark.parametrize(
    "content", [b"", b"a text file\n", b"PK\x03\x04", b"\x80\x02}q\x00.", b"\x80\x04\x95\xff", bytes(range(256))]
)
def test_neither_format(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g_best").write_bytes(content)
    with pytest.raises(CheckpointError, match="g_best: neither a safetensors file nor a published") as caught:
        load(tmp_path / "g_best")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [3, 1_000, 400_000, -10])
def test_a_published_file_cut_short(reference: Path, tmp_path: Path, kept: int) -> None:
    (tmp_path / "g_best").write_bytes((reference / "muse_g_best").read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="g_best: neither a safetensors file nor a published checkpoint"):
        load(tmp_path / "g_best")


@pytest.mark.parametrize(
    "content",
    [{"model": {}}, {"generator": [1, 2]}, {"generator": {"epoch": 3}}, {"generator": {1: torch.ones(1)}}, [1, 2]],
)
def test_a_torch_file_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"other\.pt: a torch file, but not a published checkpoint"):
        load(tmp_path / "other.pt")


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
            return Path.touch, (tmp_path / "touched",)

    torch.save({"generator": Touch()}, tmp_path / "hostile.pt")
    with pytest.raises(CheckpointError):
        load(tmp_path / "hostile.pt")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, f"a safetensors file, but not of imse: no '{CONFIG_KEY}' in its metadata"),
        ("{", "unusable network configuration: "),
        ("3", "unusable network configuration: "),
        ("[" * 200_000, "unusable network configuration: "),
        ('{"width": 16}', "unusable network configuration: "),
        ('{"channels": 16.0}', "unusable network configuration: "),
        ('{"channels": 12}', "unusable network configuration: channels must be a positive multiple of 8, not 12"),
        ('{"attention": "softmax"}', "unusable network configuration: attention must be one of mala, met, not softmax"),
        ('{"channels": 800000, "blocks": 1}', "not the weights of this network: "),
        ("{}", "not the weights of this network: missing unet.encoder1.embedding.square.weight"),
    ],
)
def test_a_safetensors_file_of_something_else(ours: Path, config: str | None, message: str) -> None:
    metadata = None if config is None else {CONFIG_KEY: config}
    save_file(load_file(ours), ours.with_name("other.safetensors"), metadata)
    with pytest.raises(CheckpointError, match=re.escape(f"other.safetensors: {message}")) as caught:
        load(ours.with_name("other.safetensors"))
    assert "\n" not in str(caught.value)


def test_a_network_of_more_blocks_than_tensors_is_not_built(ours: Path) -> None:
    save_file(load_file(ours), ours, {CONFIG_KEY: '{"channels": 8, "blocks": 1000000000}'})
    with pytest.raises(CheckpointError, match="1000000000 blocks of"):
        load(ours)
