"""The compiled engine is the network of `imse.nn`, whatever the size, the threads and the instruction set."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file

from imse import Enhancer, native
from imse.checkpoint import load, save
from imse.engine.native import NativeEngine
from imse.engine.onnx import OnnxEngine
from imse.engine.torch import TorchEngine
from imse.errors import ImseError
from imse.native import NativeNetwork
from imse.nn import IMSE, MUSE, Network, NetworkConfig
from imse.signal.spectrum import Floats, analyse

compiled = pytest.mark.skipif(
    not native.available() and not any(map(shutil.which, ("c++", "g++", "clang++"))),
    reason="needs a C++ compiler when imse is installed",
)
pytestmark = compiled


def compile_network(network: Network, threads: int = 1) -> NativeNetwork:
    config = network.config
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return NativeNetwork(config.channels, config.blocks, config.bins, tensors, threads)


def spectra(frames: int, bins: int) -> tuple[Floats, Floats]:
    draw = np.random.default_rng(frames)
    magnitude = draw.random((frames, bins), np.float32)
    return magnitude, (draw.random((frames, bins), np.float32) - np.float32(0.5)) * np.float32(2 * np.pi)


def shaken(config: NetworkConfig) -> Network:
    """A network all of whose parameters matter: none is the zero or the one that it starts as."""
    network = IMSE(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return network


def compare(network: Network, ours: tuple[Floats, Floats, Floats], magnitude: Floats, phase: Floats) -> None:
    with torch.no_grad():
        theirs, their_phase = (
            x[0].T.numpy() for x in network(*(torch.from_numpy(x.T)[None] for x in (magnitude, phase)))
        )
    enhanced, real, imag = ours
    np.testing.assert_allclose(enhanced, theirs, atol=1e-4)
    np.testing.assert_allclose(real**2 + imag**2, 1, atol=1e-5)
    # A phase whose two parts are both near zero magnifies rounding: a few bins in a hundred thousand.
    difference = np.abs(enhanced * (real + 1j * imag) - theirs * np.exp(1j * their_phase))
    assert np.quantile(difference, 0.999) < 1e-3


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([8, 16, 24]), st.integers(1, 3), st.sampled_from([128, 256, 384]), st.integers(1, 40),
    st.integers(1, 3), st.integers(0, 99),
)  # fmt: skip
def test_any_size(channels: int, blocks: int, bins: int, frames: int, threads: int, seed: int) -> None:
    torch.manual_seed(seed)
    network = shaken(NetworkConfig(channels=channels, blocks=blocks, bins=bins))
    magnitude, phase = spectra(frames, bins)
    compare(network, compile_network(network, threads).run(magnitude, phase), magnitude, phase)


@pytest.mark.parametrize("weights", ["imse_g_best_pesq_3.373", "imse_g_best_pesq_3.399"])
@pytest.mark.parametrize("frames", [1, 4, 161, 308, 530])
def test_published_weights_on_a_recording(reference: Path, recording: Floats, weights: str, frames: int) -> None:
    network = load(reference / weights)
    scale = 1 / np.sqrt(np.square(recording).mean())
    magnitude, phase = (x[0].T for x in analyse(recording[None, : (frames - 1) * 100 + 1] * scale))
    compare(network, compile_network(network).run(magnitude, phase), magnitude, phase)


def test_recorded_spectra(reference: Path, published_safetensors: Path) -> None:
    golden = load_file(reference / "golden_imse_3399.safetensors")
    magnitude, phase = NativeEngine(published_safetensors).run(golden["mag"], golden["pha"])
    np.testing.assert_allclose(magnitude, golden["out_mag"], atol=1e-4)
    complex_difference = magnitude * np.exp(1j * phase) - golden["out_mag"] * np.exp(1j * golden["out_pha"])
    assert np.quantile(np.abs(complex_difference), 0.9999) < 1e-3


def test_neither_threads_nor_earlier_segments_change_a_bit() -> None:
    network = shaken(NetworkConfig(channels=16, blocks=2))
    alone = compile_network(network).run(*spectra(37, 256))
    for threads in (2, 3, 8):
        shared = compile_network(network, threads)
        for frames in (90, 3, 37):  # longer, shorter, the same
            outputs = shared.run(*spectra(frames, 256))
        for ours, expected in zip(outputs, alone, strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_used_by_several_at_once() -> None:
    network = compile_network(shaken(NetworkConfig(channels=8, blocks=1)), threads=2)
    lengths = [5, 64, 17, 200] * 4
    expected = {frames: network.run(*spectra(frames, 256)) for frames in set(lengths)}
    with ThreadPoolExecutor(4) as pool:
        for frames, outputs in zip(lengths, pool.map(lambda n: network.run(*spectra(n, 256)), lengths), strict=True):
            for ours, theirs in zip(outputs, expected[frames], strict=True):
                np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kernels", ["avx2", "baseline"])
def test_other_instruction_sets(small_weights: Path, recording: Floats, tmp_path: Path, kernels: str) -> None:
    np.save(tmp_path / "in.npy", recording[:20_000])
    script = f"""
import numpy as np
from imse import Enhancer
x = np.load({str(tmp_path / "in.npy")!r})
np.save({str(tmp_path / "out.npy")!r}, Enhancer({str(small_weights)!r}, "native").enhance(x, 16_000))
"""
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "IMSE_KERNELS": kernels})
    enhanced = Enhancer(small_weights, "native").enhance(recording[:20_000], 16_000)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), enhanced, atol=1e-3)


def test_silence_and_digital_zero(small_weights: Path) -> None:
    enhanced = Enhancer(small_weights, "native").enhance(np.zeros(20_000, np.float32), 16_000)
    assert np.isfinite(enhanced).all()
    assert np.abs(enhanced).max() < 1e-3


def engine_of(enhancer: Enhancer) -> type:
    return type(enhancer._engine)


def test_the_fastest_engine_is_the_default(
    small_weights: Path, small_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    muse = tmp_path / "muse.safetensors"
    save(MUSE(), muse)
    assert engine_of(Enhancer(small_weights)) is NativeEngine
    assert engine_of(Enhancer()) is NativeEngine
    assert engine_of(Enhancer(small_onnx)) is OnnxEngine
    assert engine_of(Enhancer(muse)) is TorchEngine
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "nothing.so")
    assert engine_of(Enhancer()) is OnnxEngine
    assert engine_of(Enhancer(small_weights)) is TorchEngine


def test_what_it_cannot_run(
    small_onnx: Path, small_weights: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    muse = tmp_path / "muse.safetensors"
    save(MUSE(), muse)
    with pytest.raises(ImseError, match=r"muse\.safetensors: the compiled engine has no met and de"):
        Enhancer(muse, "native")
    for file in (small_onnx, reference / "imse_g_best_pesq_3.399"):
        with pytest.raises(ImseError, match=f"{file.name}: not a safetensors file.*'imse convert' first"):
            Enhancer(file, "native")
    network = IMSE(NetworkConfig(channels=8, blocks=1))
    tensors: dict[str, NDArray[np.float32]] = {name: x.numpy() for name, x in network.state_dict().items()}
    missing = {name: x for name, x in tensors.items() if name != "encoder.entry.0.weight"}
    with pytest.raises(ImseError, match=r"no tensor 'encoder\.entry\.0\.weight'"):
        NativeNetwork(8, 1, 256, missing)
    with pytest.raises(ImseError, match=r"tensor 'encoder\.entry\.0\.weight' has 16 values, not 32"):
        NativeNetwork(16, 1, 256, tensors)
    with pytest.raises(ImseError, match="multiple of 128 bins"):
        NativeNetwork(8, 1, 64, tensors)
    native.library.cache_clear()
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "nothing.so")
    with pytest.raises(ImseError, match="install a C\\+\\+ compiler and then imse again, or use --engine onnx"):
        Enhancer(small_weights, "native")
    native.library.cache_clear()
