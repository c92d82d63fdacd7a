"""The compiled engine computes the network of `imse.nn` for all sizes, thread numbers and instruction sets."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from imse import Enhancer, native
from imse.checkpoint import load, save
from imse.engine.native import NativeEngine
from imse.engine.onnx import OnnxEngine
from imse.engine.torch import TorchEngine
from imse.errors import ImseError
from imse.native import NativeNetwork, build
from imse.native.build import fingerprint
from imse.nn import IMSE, MUSE, Network, NetworkConfig
from imse.signal.spectrum import BINS, Floats, analyse
from imse.weights import CONFIG_KEY
from imse.weights.serialization import serialize

compiled = pytest.mark.skipif(
    not native.available() and not any(map(shutil.which, ("c++", "g++", "clang++"))),
    reason="needs a C++ compiler when imse is installed",
)
pytestmark = compiled


def content(network: Network, **changed: NDArray[Any] | None) -> bytes:
    """A network as a file of weights, with tensors added, changed or left out; "__" in names stands for "."."""
    tensors: dict[str, NDArray[Any] | None] = {name: x.numpy() for name, x in network.state_dict().items()}
    tensors |= {name.replace("__", "."): x for name, x in changed.items()}
    given = {name: np.ascontiguousarray(x) for name, x in tensors.items() if x is not None}
    return serialize(given, {CONFIG_KEY: json.dumps(asdict(network.config))})


def compile_network(network: Network, threads: int = 1) -> NativeNetwork:
    return NativeNetwork(content(network), threads)


def spectra(frames: int) -> tuple[Floats, Floats]:
    draw = np.random.default_rng(frames)
    magnitude = draw.random((frames, BINS), np.float32)
    return magnitude, (draw.random((frames, BINS), np.float32) - np.float32(0.5)) * np.float32(2 * np.pi)


def shaken(config: NetworkConfig) -> Network:
    """A network whose parameters all have an effect: none has its initial value of zero or one."""
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
    st.sampled_from([8, 16, 24]), st.integers(1, 3), st.integers(1, 40), st.integers(1, 3), st.integers(0, 99)
)  # fmt: skip
def test_any_size(channels: int, blocks: int, frames: int, threads: int, seed: int) -> None:
    torch.manual_seed(seed)
    network = shaken(NetworkConfig(channels=channels, blocks=blocks))
    magnitude, phase = spectra(frames)
    compare(network, compile_network(network, threads).run_spectrum(magnitude, phase), magnitude, phase)


@pytest.mark.parametrize("weights", ["imse_g_best_pesq_3.373", "imse_g_best_pesq_3.399"])
@pytest.mark.parametrize("frames", [1, 4, 161, 308, 530])
def test_published_weights_on_a_recording(reference: Path, recording: Floats, weights: str, frames: int) -> None:
    network = load(reference / weights)
    scale = 1 / np.sqrt(np.square(recording).mean())
    magnitude, phase = (x[0].T for x in analyse(recording[None, : (frames - 1) * 100 + 1] * scale))
    compare(network, compile_network(network).run_spectrum(magnitude, phase), magnitude, phase)


def test_recorded_spectra(reference: Path, published_safetensors: Path) -> None:
    golden = load_file(reference / "golden_imse_3399.safetensors")
    magnitude, phase = NativeEngine(published_safetensors).run(golden["mag"], golden["pha"])
    np.testing.assert_allclose(magnitude, golden["out_mag"], atol=1e-4)
    complex_difference = magnitude * np.exp(1j * phase) - golden["out_mag"] * np.exp(1j * golden["out_pha"])
    assert np.quantile(np.abs(complex_difference), 0.9999) < 1e-3


def test_neither_threads_nor_earlier_segments_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imse.processors.processors", lambda: 8)
    network = shaken(NetworkConfig(channels=16, blocks=2))
    alone = compile_network(network).run_spectrum(*spectra(37))
    for threads in (2, 3, 8):
        shared = compile_network(network, threads)
        for frames in (90, 3, 37):  # longer, shorter, the same
            outputs = shared.run_spectrum(*spectra(frames))
        for ours, expected in zip(outputs, alone, strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_used_by_several_at_once() -> None:
    network = compile_network(shaken(NetworkConfig(channels=8, blocks=1)), threads=2)
    lengths = [5, 64, 17, 200] * 4
    expected = {frames: network.run_spectrum(*spectra(frames)) for frames in set(lengths)}
    with ThreadPoolExecutor(4) as pool:
        for frames, outputs in zip(
            lengths, pool.map(lambda n: network.run_spectrum(*spectra(n)), lengths), strict=True
        ):
            for ours, theirs in zip(outputs, expected[frames], strict=True):
                np.testing.assert_array_equal(ours, theirs)


def run_with_kernels(kernels: str, script: str) -> str:
    """What a script prints in a process of its own that asks for some kernels."""
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "IMSE_KERNELS": kernels},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


KERNELS = ("baseline", "avx2", "avx512")


@pytest.mark.parametrize("kernels", KERNELS)
def test_instruction_sets(small_weights: Path, recording: Floats, tmp_path: Path, kernels: str) -> None:
    if KERNELS.index(kernels) > KERNELS.index(native.instruction_set()):
        pytest.skip(f"this processor has no {kernels}")
    np.save(tmp_path / "in.npy", recording[:20_000])
    script = f"""
import numpy as np
from imse import Enhancer, native
x = np.load({str(tmp_path / "in.npy")!r})
np.save({str(tmp_path / "out.npy")!r}, Enhancer({str(small_weights)!r}, "native").enhance(x, 16_000))
print(native.instruction_set())
"""
    assert run_with_kernels(kernels, script) == kernels
    enhanced = Enhancer(small_weights, "native").enhance(recording[:20_000], 16_000)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), enhanced, atol=1e-3)


def test_unknown_instruction_set(small_weights: Path) -> None:
    script = f"""
from imse import Enhancer, native
from imse.errors import ImseError
for call in (native.instruction_set, lambda: Enhancer({str(small_weights)!r}, "native")):
    try:
        call()
    except ImseError as error:
        print(str(error).removeprefix({str(small_weights)!r} + ": "))
"""
    message = "IMSE_KERNELS: no kernels 'avx1024'; unset it, or set it to avx512, avx2 or baseline"
    assert run_with_kernels("avx1024", script).splitlines() == [message] * 2


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
    with pytest.raises(
        ImseError, match=r"muse\.safetensors: the compiled engine has no met and de; use --engine torch"
    ):
        Enhancer(muse, "native")
    for file in (small_onnx, reference / "imse_g_best_pesq_3.399"):
        with pytest.raises(ImseError, match=f"{file.name}: not a safetensors file.*'imse convert' first"):
            Enhancer(file, "native")
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "nothing.so")
    with pytest.raises(ImseError, match="install a C\\+\\+ compiler and then imse again, or use --engine onnx"):
        Enhancer(small_weights, "native")


@pytest.mark.skipif(sys.platform != "linux", reason="a library as of Linux")
def test_library_of_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_weights: Path) -> None:
    library = tmp_path / "other.so"
    code = build.LIBRARY.read_bytes()
    library.write_bytes(code[:18] + b"\xff\xfe" + code[20:])  # another number of the machine in the header of ELF
    monkeypatch.setattr(native, "LIBRARY", library)
    assert not native.available()
    assert engine_of(Enhancer()) is OnnxEngine
    with pytest.raises(
        ImseError, match=r"^[^\n]*the compiled engine cannot be loaded: .*other\.so.*; install imse again"
    ):
        Enhancer(small_weights, "native")


def test_library_of_other_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_weights: Path) -> None:
    """It is not called, and the error says how to compile it again; nor is a library without a fingerprint."""
    ours = fingerprint("engine").encode()
    code = build.LIBRARY.read_bytes()
    assert code.count(ours) == 1
    stale = tmp_path / "stale.so"
    stale.write_bytes(code.replace(ours, b"0" * len(ours)))
    another = next(Path(np.__file__).parent.rglob("_multiarray_umath*.so"))
    for library in (stale, another):
        monkeypatch.setattr(native, "LIBRARY", library)
        assert not native.available()
        with pytest.raises(ImseError, match=r"made from other sources .* install imse again"):
            Enhancer(small_weights, "native")
        assert engine_of(Enhancer()) is OnnxEngine


def test_fingerprints_follow_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def both() -> tuple[str, str]:
        return fingerprint("engine"), fingerprint("training")

    shutil.copytree(build.SOURCES, tmp_path / "native", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    before = both()
    monkeypatch.setattr(build, "SOURCES", tmp_path / "native")
    assert both() == before
    for file in build.sources():
        file.write_text(file.read_text() + "\n")
        changes = [now != earlier for now, earlier in zip(both(), before, strict=True)]
        assert changes == {"common": [True, True], "training": [False, True]}.get(file.parent.name, [True, False])
        before = both()
    script = tmp_path / "build.py"
    script.write_text(Path(build.__file__).read_text().replace("-O3", "-O2"))
    monkeypatch.setattr(build, "__file__", str(script))
    assert not set(both()) & set(before)


@pytest.fixture(scope="module")
def tiny() -> Network:
    """A network with 8 channels and one block."""
    return shaken(NetworkConfig(channels=8, blocks=1))


@pytest.fixture
def tiny_file(tiny: Network, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(content(tiny))
    return path


def test_tensors_that_do_not_fit(tiny: Network) -> None:
    def refused(message: str, **changed: NDArray[Any] | None) -> None:
        with pytest.raises(ImseError, match=message):
            NativeNetwork(content(tiny, **changed))

    refused(r"no tensor 'encoder\.entry\.0\.weight'", encoder__entry__0__weight=None)
    refused("unexpected tensor 'encoder.more'", encoder__more=np.zeros(1, np.float32))
    square = tiny.state_dict()["unet.encoder1.embedding.pointwise.weight"].numpy()
    refused(
        r"tensor 'unet\.encoder1\.embedding\.pointwise\.weight' is \[1, 1, 8, 8\] instead of \[8, 8, 1, 1\]",
        unet__encoder1__embedding__pointwise__weight=square.transpose(2, 3, 0, 1),
    )
    not_finite, too_large = "has a value that is not finite", "has a value beyond 1000: damaged weights"
    for value, problem in (
        (np.nan, not_finite), (np.inf, not_finite), (-np.inf, not_finite), (1e300, not_finite),
        (1e30, too_large), (-1001, too_large),
    ):  # fmt: skip
        damaged = square.astype(np.float64)
        damaged[3, 4] = value
        refused(
            rf"tensor 'unet\.encoder1\.embedding\.pointwise\.weight' {problem}",
            unet__encoder1__embedding__pointwise__weight=damaged,
        )
    refused(
        r"tensor 'unet\.encoder1\.embedding\.pointwise\.weight' holds I32 instead of floating-point numbers",
        unet__encoder1__embedding__pointwise__weight=square.astype(np.int32),
    )


DAMAGES: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "NaN": lambda x: np.where(np.arange(x.size).reshape(x.shape) == x.size // 2, np.float32(np.nan), x),
    "infinite": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.float32(-np.inf), x),
    "large": lambda x: np.where(np.arange(x.size).reshape(x.shape) == x.size - 1, np.float32(1e30), x),
    "all large": lambda x: np.full_like(x, 1e30),
    "transposed": lambda x: x.T,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_enhance_refuses_damaged_weights(small_weights: Path, example: Path, tmp_path: Path, damage: str) -> None:
    damaged = "unet.latent.blocks.0.ffn.project_out.weight"
    with safe_open(small_weights, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    tensors[damaged] = np.ascontiguousarray(DAMAGES[damage](tensors[damaged]))
    weights = tmp_path / "damaged.safetensors"
    save_file(tensors, weights, metadata)
    command = [sys.executable, "-m", "imse", "enhance", str(example), "-o", str(tmp_path / "out.flac")]
    result = subprocess.run([*command, "--weights", str(weights)], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"imse: {weights}: tensor '{damaged}' ")
    assert list(tmp_path.iterdir()) == [weights]


def test_a_direction_of_zero_length_is_zero_radians(tiny: Network) -> None:
    """Where the phase decoder gives nothing, as where all weights are zero."""
    tensors = tiny.state_dict()
    names = [f"phase_decoder.{part}.{kind}" for part in ("real", "imag") for kind in ("weight", "bias")]
    nothing = {name.replace(".", "__"): np.zeros_like(tensors[name].numpy()) for name in names}
    magnitude, real, imag = NativeNetwork(content(tiny, **nothing)).run_spectrum(*spectra(9))
    assert np.isfinite(magnitude).all()
    np.testing.assert_array_equal(real, 1)
    np.testing.assert_array_equal(imag, 0)


def test_arrays_of_another_shape(tiny: Network) -> None:
    network = compile_network(tiny)
    good = np.zeros((5, 256), np.float32)
    for magnitude, phase in (
        (good[:0], good[:0]),
        (good, good[:4]),
        (good[:, :128], good[:, :128]),
        (good[None], good[None]),
        (good[0], good[0]),
    ):
        with pytest.raises(ValueError, match=r"magnitude and phase must both be \[frames, 256\], not"):
            network.run_spectrum(magnitude, phase)
    for waveform in (good, good[0, :0]):
        with pytest.raises(ValueError, match=r"the waveform must be \[samples\], not"):
            network.run_waveform(waveform)


def test_more_threads_than_processors(tiny: Network) -> None:
    """So many threads cannot be started: there are as many as processors, and the result is that of one thread."""
    few, many = compile_network(tiny), compile_network(tiny, 2**32)
    for ours, theirs in zip(few.run_spectrum(*spectra(9)), many.run_spectrum(*spectra(9)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, to limit memory")
def test_more_threads_than_memory(tiny_file: Path) -> None:
    """An error, where a thread cannot be started, and the network goes on working with fewer."""
    script = f"""
import resource
import imse.processors
import numpy as np
from pathlib import Path
from imse import native
from imse.errors import ImseError
imse.processors.processors = lambda: 1000
many, one = (native.NativeNetwork(Path({str(tiny_file)!r}).read_bytes(), n) for n in (1000, 1))
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + (256 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
x = np.ones((9, 256), np.float32)
try:
    many.run_spectrum(x, x)
except ImseError as error:
    print(error)
print(one.run_spectrum(x, x)[0].shape)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    expected = ["the system has no room for 1000 threads: use fewer", "(9, 256)"]
    assert result.stdout.splitlines() == expected, result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, to limit memory")
def test_enhance_with_more_threads_than_memory(small_weights: Path, example: Path, tmp_path: Path) -> None:
    """`imse enhance` ends with one line for the file, instead of waiting for threads that never start."""
    script = """
import resource
import imse.processors
imse.processors.processors = lambda: 200
limit = 800 << 20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from imse.cli import main
main()
"""
    output = tmp_path / "out.flac"
    command = [sys.executable, "-c", script, "enhance", str(example), "-o", str(output), "--threads", "200"]
    command += ["--engine", "native", "--weights", str(small_weights)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 1
    (error,) = result.stderr.splitlines()
    assert error.endswith("the system has no room for 200 threads: use fewer")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("threads", [1.5, 0, -1, True, "2", None, np.float32(2.5), [2]])
@pytest.mark.parametrize("engine", ["auto", "native", "onnx", "torch"])
def test_threads_that_are_no_number_of_threads(small_weights: Path, engine: str, threads: object) -> None:
    weights = small_weights.with_suffix(".onnx" if engine == "onnx" else ".safetensors")
    with pytest.raises(ImseError, match=r"^threads must be (at least 1|a whole number), not "):
        Enhancer(weights, engine, threads)  # type: ignore[arg-type]


@pytest.mark.parametrize("open_engine", [NativeEngine, OnnxEngine])
def test_engines_check_their_threads(small_weights: Path, open_engine: type[NativeEngine | OnnxEngine]) -> None:
    weights = small_weights.with_suffix(".onnx" if open_engine is OnnxEngine else ".safetensors")
    for threads in (1.5, 0, True, "2"):
        with pytest.raises(ImseError, match="threads must be"):
            open_engine(weights, threads)  # type: ignore[arg-type]
    open_engine(weights, 2**32)  # as many as there are processors
    open_engine(weights, np.int64(1))  # type: ignore[arg-type]


def test_neither_copied_nor_pickled(tiny: Network) -> None:
    network = compile_network(tiny)
    for call in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="a NativeNetwork cannot be copied or pickled: open its weights again"):
            call(network)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_used_in_a_forked_process(tiny_file: Path) -> None:
    """Threads do not survive a fork, so the child starts its own."""
    script = f"""
import os
import imse.processors
import numpy as np
from pathlib import Path
from imse import native
imse.processors.processors = lambda: 2
network = native.NativeNetwork(Path({str(tiny_file)!r}).read_bytes(), threads=2)
x = np.ones((9, 256), np.float32)
before = network.run_spectrum(x, x)[0]
child = os.fork()
if child == 0:
    same = np.array_equal(network.run_spectrum(x, x)[0], before)
    del network
    os._exit(0 if same else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.stdout == "0\n", result.stderr


def test_configuration_that_does_not_fit(tiny: Network, tmp_path: Path) -> None:
    path = tmp_path / "changed.safetensors"
    tensors = {name: x.numpy() for name, x in tiny.state_dict().items()}
    config = {"channels": 8, "blocks": 1, "bins": 256, "attention": "mala", "embedding": "idconv"}
    for changed, message in (
        ({"depth": 4}, "unusable network configuration: unexpected depth"),
        ({"bins": 512}, "the compiled engine runs on 256 bins, not 512; use --engine torch"),
        ({"bins": 128}, "the compiled engine runs on 256 bins, not 128; use --engine torch"),
        ({"channels": 12}, "channels in a multiple of 8 up to 256"),
        ({"channels": 264}, "channels in a multiple of 8 up to 256"),
        ({"channels": 16}, r"tensor 'encoder\.entry\.0\.weight' is \[8, 2, 1, 1\] instead of \[16, 2, 1, 1\]"),
        ({"channels": 2**32 + 8}, r"channels must be a whole number from 1 to 2147483647"),
        ({"channels": None}, "unusable network configuration: channels must be a whole number"),
        ({"channels": 8.0}, r"channels must be a whole number"),
        ({"blocks": 65}, "1 to 64 blocks"),
        ({"blocks": True}, "blocks must be a whole number"),
        ({"blocks": 0}, "blocks must be a whole number from 1"),
        ({"blocks": -1}, "blocks must be a whole number from 1"),
        ({"bins": "256"}, "bins must be a whole number"),
        ({"attention": 1}, "not of imse, or a damaged one"),
    ):
        path.write_bytes(serialize(tensors, {CONFIG_KEY: json.dumps(config | changed)}))
        with pytest.raises(ImseError, match=f"changed.safetensors: .*{message}"):
            NativeEngine(path)
    for text in ("[" * 200_000, "[]", "{", ""):
        path.write_bytes(serialize(tensors, {CONFIG_KEY: text}))
        with pytest.raises(ImseError, match="not of imse, or a damaged one"):
            NativeEngine(path)
