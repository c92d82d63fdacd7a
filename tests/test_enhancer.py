"""Arrays: any length, rate and number of channels; and the authors' inference reproduced."""

from __future__ import annotations

import copy
import os
import pickle
import pydoc
import subprocess
import sys
from concurrent.futures import CancelledError
from functools import cache
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file

import imse
from imse import Enhancer, native
from imse.checkpoint import save
from imse.engine import AUTO, ENGINES, open_engine
from imse.engine.onnx import OnnxEngine
from imse.engine.torch import TorchEngine
from imse.errors import ImseError
from imse.nn import Network, NetworkConfig
from imse.samples import like
from imse.signal.segments import OverlappingSegments
from imse.signal.spectrum import analyse

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def small(light_weights: Path, light_engine: str) -> Enhancer:
    return Enhancer(light_weights, light_engine)


@pytest.fixture(scope="module")
def published(published_weights: Path, light_engine: str) -> Enhancer:
    return Enhancer(published_weights, light_engine)


def snr_db(signal: Floats, estimate: Floats) -> float:
    return float(10 * np.log10(np.square(signal).sum() / np.square(signal - estimate).sum()))


@given(
    samples=st.integers(0, 5_000),
    sample_rate=st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000]),
    channels=st.sampled_from([None, 1, 2, 3]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(deadline=None, max_examples=25)
def test_any_shape_and_rate(
    small: Enhancer, samples: int, sample_rate: int, channels: int | None, dtype: type[np.float32]
) -> None:
    shape = (samples,) if channels is None else (samples, channels)
    x = np.random.default_rng(samples).uniform(-1, 1, shape).astype(dtype)
    y = small.enhance(x, sample_rate)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert np.isfinite(y).all()


ODD = {
    "one sample": np.array([0.5], np.float32),
    "ten milliseconds": np.linspace(-0.1, 0.1, 160, dtype=np.float32),
    "direct current": np.full(20_000, 0.3, np.float32),
    "clipping": np.sign(np.sin(np.arange(40_000, dtype=np.float32) / 20)),
    "one click": np.eye(1, 20_000, 9_999, dtype=np.float32)[0],
    "far too quiet": np.full(5_000, 1e-30, np.float32),
    "denormal": np.full(5_000, 1e-40, np.float32),
    "far too loud": np.full(5_000, 1e30, np.float32),
    "half silence": np.concatenate([np.zeros(40_000), np.random.default_rng(0).normal(size=9_000)]).astype(np.float32),
}


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("x", ODD.values(), ids=ODD.keys())
def test_odd_sounds_stay_finite(small: Enhancer, x: Floats, sample_rate: int) -> None:
    y = small.enhance(x, sample_rate)
    assert y.shape == x.shape
    assert np.isfinite(y).all()


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("samples", [1, 160, 16_000, 50_000])
def test_silence_stays_silence(small: Enhancer, samples: int, sample_rate: int) -> None:
    assert not small.enhance(np.zeros(samples, np.float32), sample_rate).any()


def test_a_silent_channel_stays_silent_beside_a_loud_one(small: Enhancer, recording: Floats) -> None:
    x = np.stack([recording, np.zeros_like(recording)], axis=1)
    y = small.enhance(x, 16_000)
    assert not y[:, 1].any()
    np.testing.assert_allclose(y[:, 0], small.enhance(recording, 16_000), atol=1e-6)


@pytest.mark.parametrize(
    "level", [2.0**-13, 2.0**7]
)  # powers of two: rounding would flip phases of frames that mirror themselves
def test_the_level_does_not_matter(small: Enhancer, recording: Floats, level: float) -> None:
    louder = small.enhance(recording * np.float32(level), 16_000)
    np.testing.assert_array_equal(louder / np.float32(level), small.enhance(recording, 16_000))


def test_direct_current_does_not_matter(published: Enhancer, recording: Floats) -> None:
    """The output has none of it, and is else the same but for rounding."""
    without = published.enhance(recording, 16_000)
    assert snr_db(without, published.enhance(recording + np.float32(0.1), 16_000)) > 40


def test_a_quiet_part_after_a_loud_one_is_enhanced_as_alone(published: Enhancer, recording: Floats) -> None:
    """To 12 dB. With one gain for the recording, it would be 6 dB."""
    alone = published.enhance(recording, 16_000)
    after = published.enhance(np.concatenate([recording, recording / np.float32(100)]), 16_000)[len(recording) :]
    assert snr_db(alone, 100 * after) > 10


def test_a_burst_does_not_change_what_is_around_it(published: Enhancer, recording: Floats) -> None:
    """It is the same to 21 dB. With one gain for the recording, it would be to 14 dB."""
    quiet = recording / np.float32(10)
    middle, around = len(quiet) // 2, 800
    with_burst = quiet.copy()
    with_burst[middle : middle + 160] = np.random.default_rng(0).uniform(-1, 1, 160)
    rest = np.delete(np.arange(len(quiet)), np.arange(middle - around, middle + 160 + around))
    alone, beside = (published.enhance(x, 16_000)[rest] for x in (quiet, with_burst))
    assert snr_db(alone, beside) > 18


def test_arrays_and_files_of_changing_level_agree(small: Enhancer, recording: Floats, tmp_path: Path) -> None:
    x = np.concatenate([recording, recording / np.float32(100), recording])
    soundfile.write(tmp_path / "in.wav", x, 44_100, "FLOAT")
    small.enhance_file(tmp_path / "in.wav", tmp_path / "out.wav")
    y, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    np.testing.assert_array_equal(y, small.enhance(x, 44_100))


@pytest.mark.parametrize(
    ("x", "sample_rate", "message"),
    [
        (np.zeros((2, 3, 4)), 16_000, r"not \[2, 3, 4\]$"),
        (np.zeros(()), 16_000, r"not \[\]$"),
        (np.zeros((2, 48_000)), 16_000, r"not \[2, 48000\]; channels are the second axis: pass x\.T$"),
        *((np.array([0.1, bad, 0.2]), 16_000, "NaN or infinite") for bad in (np.nan, np.inf, -np.inf)),
        (np.zeros(10), 16_000.5, r"sample_rate must be a whole number, not 16000\.5"),
        (np.zeros(10), np.nan, "sample_rate must be a whole number, not nan"),
        (np.zeros(10), 4_000, "4000 Hz is out of range"),
        (np.zeros(10), 400_000, "400000 Hz is out of range"),
    ],
)
def test_wrong_values(small: Enhancer, x: NDArray[np.float64], sample_rate: int, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        small.enhance(x, sample_rate)
    assert isinstance(caught.value, ImseError)


@pytest.mark.parametrize(
    ("x", "sample_rate", "message"),
    [
        (np.zeros(10, np.int64), 16_000, r"not int64, .*: if it is 2\*\*15, x / np\.float32\(2\*\*15\)$"),
        (np.zeros(10, np.float16), 16_000, r"not float16: x\.astype\(np\.float32\)$"),
        (np.zeros(10, complex), 16_000, "not complex128$"),
        ([0.0, 0.1], 16_000, r"not list: np\.asarray\(x, np\.float32\) makes one$"),
        (np.ma.masked_array(np.zeros(10), mask=True), 16_000, r"x is a masked array.* x\.filled\(0\)"),
        (np.zeros(10), "12", "sample_rate must be a whole number, not '12'"),
        (np.zeros(10), True, "sample_rate must be a whole number, not True"),
    ],
)
def test_wrong_types(small: Enhancer, x: NDArray[np.float64], sample_rate: int, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        small.enhance(x, sample_rate)
    assert isinstance(caught.value, ImseError)


@pytest.mark.parametrize("sample_rate", [16_000.0, np.float32(16_000), np.int64(16_000)])
def test_a_rate_of_any_type_of_number(small: Enhancer, recording: Floats, sample_rate: int) -> None:
    x = recording[:8_000]
    np.testing.assert_array_equal(small.enhance(x, sample_rate), small.enhance(x, 16_000))


@pytest.mark.parametrize(
    ("dtype", "silence", "full_scale"), [(np.uint8, 128, 2**7), (np.int16, 0, 2**15), (np.int32, 0, 2**31)]
)
@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
def test_integers_are_enhanced_as_floats_of_their_full_scale(
    small: Enhancer, recording: Floats, dtype: type[np.int16], silence: int, full_scale: int, sample_rate: int
) -> None:
    x = np.rint(recording[:16_000].astype(np.float64) * (full_scale - 1) + silence).astype(dtype)
    expected = small.enhance((x.astype(np.float64) - silence) / full_scale, sample_rate)
    y = small.enhance(x, sample_rate)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    np.testing.assert_allclose((y.astype(np.float64) - silence) / full_scale, expected, atol=0.51 / full_scale + 1e-6)


def test_integers_that_are_clipped_are_counted() -> None:
    """What is beyond full scale does not wrap around."""
    x = np.array([0.0, 1.5, -1.5, 1.0, -1.0])
    with pytest.warns(UserWarning, match="^2 samples beyond full scale were clipped$"):
        y = like(np.zeros(5, np.int16), x)
    np.testing.assert_array_equal(y, [0, 32_767, -32_768, 32_767, -32_768])


@pytest.mark.parametrize("attenuation_limit_db", [None, 6, 0])
@pytest.mark.parametrize("level", [1e32, 1e36, 3e38])
def test_what_is_near_the_largest_numbers_stays_finite_or_is_an_error(
    light_weights: Path, tmp_path: Path, level: float, attenuation_limit_db: float | None
) -> None:
    enhancer = Enhancer(light_weights, attenuation_limit_db=attenuation_limit_db)
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    x = np.sign(np.sin(np.arange(44_100) / 20)).astype(np.float32) * np.float32(level)
    soundfile.write(source, x, 44_100, "FLOAT")
    if level < 1e33:
        enhancer.enhance_file(source, target)
        assert np.isfinite(soundfile.read(target)[0]).all()
        assert np.isfinite(enhancer.enhance(x, 44_100)).all()
        return
    with pytest.raises(ImseError, match=r"^samples beyond 1e\+33 cannot be processed$"):
        enhancer.enhance(x, 44_100)
    with pytest.raises(ImseError, match=r"in\.wav: samples beyond 1e\+33 cannot be processed$"):
        enhancer.enhance_file(source, target)
    assert list(tmp_path.iterdir()) == [source]


def test_files_have_the_limits_of_arrays(small: Enhancer, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, np.zeros((4, 1_024)), 44_100)
    with pytest.raises(ImseError, match=r"in\.wav: 1024 channels; at most 128 can be enhanced"):
        small.enhance_file(source, target)
    soundfile.write(source, np.zeros(4), 4_000)
    with pytest.raises(ImseError, match=r"in\.wav: a sample rate of 4000 Hz is out of range"):
        small.enhance_file(source, target)
    assert list(tmp_path.iterdir()) == [source]


def test_a_pickled_enhancer_has_the_same_weights_and_settings(
    light_weights: Path, light_engine: str, recording: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path means the same file to a process that runs in another folder."""
    noisy = recording[:16_000]
    monkeypatch.chdir(light_weights.parent)
    enhancer = Enhancer(light_weights.name, light_engine, 1, "paper", 6.0, 80.0)
    expected = enhancer.enhance(noisy, 16_000)
    data = pickle.dumps(enhancer)
    assert len(data) < 1_000  # the weights are opened again, not sent
    monkeypatch.chdir("/")
    for other in (pickle.loads(data), copy.deepcopy(enhancer)):  # noqa: S301 - made here
        assert np.array_equal(other.enhance(noisy, 16_000), expected)
    monkeypatch.chdir(light_weights.parent)
    packaged = pickle.loads(pickle.dumps(Enhancer("small")))  # noqa: S301 - made here
    assert packaged.enhance(noisy, 16_000).shape == noisy.shape


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("engine", ["native", "onnx", "torch"])
def test_used_in_a_forked_process(engine: str, small_weights: Path) -> None:
    """Which has none of the threads that its parent had."""
    script = f"""
import multiprocessing
import imse.processors
import numpy as np
from imse import Enhancer
imse.processors.processors = lambda: 2
weights = {str(small_weights.with_suffix(ENGINES[engine].suffix))!r}
enhancer = Enhancer(weights, {engine!r}, threads=2)
noisy = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
enhanced = enhancer.enhance(noisy, 16_000)

def inherited(_):
    return enhancer.enhance(noisy, 16_000)

with multiprocessing.get_context("fork").Pool(2) as pool:
    for other in pool.map(inherited, range(4)):
        assert np.allclose(other, enhanced, atol=1e-4)
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


@pytest.mark.parametrize("value", [0.0, 1e4, 1e30])
@pytest.mark.parametrize("engine", ["native", "onnx", "torch"])
def test_weights_of_a_single_value_give_finite_samples_or_an_error_and_no_file(
    engine: str, value: float, small_weights: Path, recording: Floats, tmp_path: Path
) -> None:
    import torch

    from imse.checkpoint import load
    from imse.export.onnx import export_onnx

    if engine == "native" and not native.available():
        pytest.skip("no C++ compiler was there when imse was installed")
    network = load(small_weights)
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, value)
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    weights = tmp_path / f"broken{ENGINES[engine].suffix}"
    (save if weights.suffix == ".safetensors" else export_onnx)(network, weights)
    soundfile.write(source, recording[:20_000], 16_000, "FLOAT")
    try:
        Enhancer(weights, engine).enhance_file(source, target)
    except ImseError as error:
        assert str(error).startswith(f"{weights}: ")  # noqa: PT017 - either is right
        assert not target.exists()
    else:
        assert np.isfinite(soundfile.read(target)[0]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_an_error_that_names_them(
    light_engine: str, small_weights: Path, recording: Floats, tmp_path: Path, value: float
) -> None:
    import torch

    from imse.checkpoint import load
    from imse.export.onnx import export_onnx

    network = load(small_weights)
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, value)
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    weights = tmp_path / f"broken{ENGINES[light_engine].suffix}"
    (save if weights.suffix == ".safetensors" else export_onnx)(network, weights)
    soundfile.write(source, recording[:20_000], 16_000)
    with pytest.raises(ImseError) as caught:
        Enhancer(weights).enhance_file(source, target)
    assert str(caught.value).startswith(f"{weights}: ")
    assert str(caught.value).endswith("not finite")
    assert set(tmp_path.iterdir()) == {source, weights}


def test_an_open_network_that_diverged_is_an_error(recording: Floats) -> None:
    import torch

    from imse.nn import IMSE, NetworkConfig

    network = IMSE(NetworkConfig(channels=8, blocks=1)).eval()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, torch.nan)
    with pytest.raises(ImseError, match=r"^a network in memory: .* not finite$"):
        Enhancer(engine=TorchEngine(network)).enhance(recording[:8_000], 16_000)


@pytest.fixture(scope="module")
def amplifying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with the largest mask everywhere: 2 in the compressed magnitude, which is 20 dB."""
    import torch

    from imse.checkpoint import save
    from imse.nn import IMSE, NetworkConfig

    torch.manual_seed(1)
    network = IMSE(NetworkConfig(channels=8, blocks=1))
    for parameter, value in zip(network.magnitude_decoder.out.parameters(), (0, 50), strict=True):
        torch.nn.init.constant_(parameter, value)
    path = tmp_path_factory.mktemp("weights") / "louder.safetensors"
    save(network, path)
    return path


def test_a_network_that_amplifies_does_not_make_a_recording_louder(amplifying: Path, recording: Floats) -> None:
    """Published weights made one recording 9.5 dB louder."""
    rms_db = {
        segments: 20 * np.log10(np.std(Enhancer(amplifying, segments=segments).enhance(recording, 16_000)))
        for segments in ("overlap", "paper")
    }
    before = 20 * np.log10(np.std(recording))
    assert rms_db["paper"] > before + 9  # as the authors' inference would have it
    assert rms_db["overlap"] < before + 0.6


@given(
    loudest=st.sampled_from([1e-35, 1e-6, 1.0, 1e32]),
    parts=st.lists(st.tuples(st.integers(40, 130), st.floats(-90, 0), st.floats(-1, 1)), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=15)
def test_no_window_becomes_louder(amplifying: Path, loudest: float, parts: list[tuple[int, float, float]]) -> None:
    """Parts of any levels with any direct current: the output is finite and, over 0.4 s, at most 0.5 dB louder."""
    draw = np.random.default_rng(0)
    noise = [10 ** (level_db / 20) * (draw.uniform(-1, 1, 100 * hops) + dc) for hops, level_db, dc in parts]
    x = (loudest * np.concatenate([np.zeros(6_500), *noise])).astype(np.float32)
    y = Enhancer(amplifying).enhance(x, 16_000)
    assert np.isfinite(y).all()
    hops = [np.square(signal[: len(x) // 100 * 100].reshape(-1, 100), dtype=np.float64).sum(1) for signal in (x, y)]
    before, after = (np.convolve(powers, np.ones(65), "valid") for powers in hops)
    assert (after <= 10 ** (0.51 / 10) * before + 1e-12 * before.max()).all()


def test_progress_and_cancellation(small: Enhancer, recording: Floats, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, np.tile(recording, 3), 16_000)
    told: list[tuple[float, float]] = []
    result = small.enhance_file(source, target, lambda done, total: told.append((done, total)))
    assert result.seconds == pytest.approx(3 * len(recording) / 16_000)
    assert result.damage is None
    assert told == sorted(told)
    assert 0 < told[-1][0] < told[-1][1] == result.seconds

    before = target.read_bytes()
    cancelled = Event()

    def cancel_midway(done: float, _total: float) -> None:
        if done:
            cancelled.set()

    with pytest.raises(CancelledError):
        small.enhance_file(source, target, cancel_midway, cancelled)
    assert target.read_bytes() == before
    assert set(tmp_path.iterdir()) == {source, target}


def test_an_input_that_shrinks_while_it_is_read_is_an_error(small: Enhancer, recording: Floats, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, np.tile(recording, 3), 16_000)

    def shrink(done: float, _total: float) -> None:
        if done:
            os.truncate(source, 200_000)

    with pytest.raises(ImseError, match=r"in\.wav: changed while it was read"):
        small.enhance_file(source, target, shrink)
    assert list(tmp_path.iterdir()) == [source]


def test_names_of_the_package() -> None:
    public = {name for name in dir(imse) if not name.startswith("__")}
    assert public == {"Enhancer", "ImseError", "Stream", "enhance"}
    assert imse.ImseError is ImseError
    shown = pydoc.plain(pydoc.render_doc(imse))
    assert all(name in shown for name in ("class Enhancer", "class ImseError", "enhance(x"))


def test_the_package_imports_little() -> None:
    run = "import imse, sys; print(sorted({'numpy', 'torch', 'soundfile'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_wrong_choices(small_onnx: Path, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    for arguments, message in [
        ({"weights": "nobody"}, "nobody: no such weights"),
        ({"weights": tmp_path}, "a folder"),
        ({"weights": tmp_path / "text.onnx"}, "text.onnx: not an ONNX file"),
        ({"engine": "steam"}, "unknown engine 'steam'"),
        ({"segments": "none"}, "unknown segments 'none'"),
        ({"attenuation_limit_db": -1.0}, "attenuation_limit_db must be at least 0, not -1"),
        ({"attenuation_limit_db": "12"}, "attenuation_limit_db must be a number, not '12'"),
        ({"threads": 0}, "at least 1"),
        ({"threads": 1.5}, r"threads must be a whole number, not 1\.5"),
    ]:
        with pytest.raises(ImseError, match=message):
            Enhancer(**({"weights": small_onnx} | arguments))  # type: ignore[operator]


def test_torch_refuses_a_network_of_another_spectrum(tmp_path: Path) -> None:
    save(Network(NetworkConfig(channels=8, blocks=1, bins=128)), tmp_path / "a.safetensors")
    with pytest.raises(ImseError, match=r"a\.safetensors: a network of 128 bins; the spectrum has 256$"):
        Enhancer(tmp_path / "a.safetensors", "torch")


def test_attenuation_limit(small: Enhancer, light_weights: Path, recording: Floats) -> None:
    """12 dB: a quarter of the input remains, aligned to the sample."""
    limited = Enhancer(light_weights, attenuation_limit_db=12).enhance(recording, 16_000)
    kept = 10 ** (-12 / 20)
    expected = kept * recording + (1 - kept) * small.enhance(recording, 16_000)
    np.testing.assert_allclose(limited, expected, atol=1e-6)


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_attenuation_limit_of_zero_changes_no_bit(light_weights: Path, sample_rate: int) -> None:
    x = np.random.default_rng(3).standard_normal((30_000, 2))
    assert Enhancer(light_weights, attenuation_limit_db=0).enhance(x, sample_rate).tobytes() == x.tobytes()


@pytest.mark.parametrize("name", ["wav", "wav_short", "wav_long"])
@pytest.mark.parametrize(
    ("weights", "recorded"), [("imse_g_best_pesq_3.399", "golden_imse_3399"), ("muse_g_best", "golden_muse")]
)
def test_paper_segments_reproduce_the_authors(reference: Path, weights: str, recorded: str, name: str) -> None:
    golden = load_file(reference / f"{recorded}.safetensors")
    enhanced = Enhancer(reference / weights, "torch", segments="paper").enhance(golden[f"{name}_in"], 16_000)
    np.testing.assert_allclose(enhanced, golden[f"{name}_out"], atol=1e-3)


@pytest.mark.parametrize("name", ["wav", "wav_short", "wav_long"])
def test_paper_segments_without_torch(published_weights: Path, reference: Path, name: str) -> None:
    """As near as numpy comes, which rounds near-zero bins to other signs of the phase: see docs/enhancer.md."""
    golden = load_file(reference / "golden_imse_3399.safetensors")
    expected = golden[f"{name}_out"]
    enhanced = Enhancer(published_weights, segments="paper").enhance(golden[f"{name}_in"], 16_000)
    assert snr_db(expected, enhanced) > 54
    np.testing.assert_allclose(enhanced, expected, atol=2.5e-3)


@pytest.fixture(scope="module")
def published_network(reference: Path) -> Network:
    from imse.checkpoint import load

    return load(reference / "imse_g_best_pesq_3.399")


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 63, 160, 307])
def test_onnx_and_torch_are_the_same_network(
    published_network: Network, published_onnx: Path, recording: Floats, frames: int
) -> None:
    import torch

    scale = 1 / np.sqrt(np.square(recording).mean())
    samples = (frames - 1) * 100 + 1
    magnitude, phase = analyse(np.stack([recording[:samples], recording[-samples:]]) * scale)
    ours, our_phase = OnnxEngine(published_onnx).run(magnitude, phase)
    with torch.no_grad():
        outputs = published_network(torch.from_numpy(magnitude), torch.from_numpy(phase))
        theirs, their_phase = (output.numpy() for output in outputs)
    assert ours.shape == (2, 256, frames)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    # A phase whose two parts are both near zero magnifies rounding: a few bins in a hundred thousand.
    difference = np.abs(ours * np.exp(1j * our_phase) - theirs * np.exp(1j * their_phase))
    assert np.quantile(difference, 0.9999) < 1e-3
    assert difference.max() < 5e-3


@cache
def in_torch(weights: Path, signal: bytes) -> Floats:
    return Enhancer(weights, "torch").enhance(np.frombuffer(signal, np.float32), 16_000)


@pytest.mark.parametrize("samples", [1_000, 20_000, 30_700, 50_000])
def test_light_and_torch_engines_agree(
    published_safetensors: Path, published: Enhancer, recording: Floats, samples: int
) -> None:
    x = recording[:samples]
    np.testing.assert_allclose(published.enhance(x, 16_000), in_torch(published_safetensors, x.tobytes()), atol=1e-3)


def test_bfloat16_stays_near(published_safetensors: Path, recording: Floats) -> None:
    x = recording[:30_700]
    near = Enhancer(published_safetensors, "torch-bf16").enhance(x, 16_000)
    assert 15 < snr_db(in_torch(published_safetensors, x.tobytes()), near) < 60


def test_torch_engine_takes_batches(small_weights: Path, recording: Floats) -> None:
    segments = np.stack([recording[start : start + 30_700] for start in (0, 20_000, 40_000)])
    engine = TorchEngine(small_weights)
    together = engine(segments).waveform
    for one, waveform in zip(segments, together, strict=True):
        np.testing.assert_allclose(engine(one[np.newaxis]).waveform[0], waveform, atol=1e-5)


def test_no_seam_can_be_heard(published: Enhancer, published_weights: Path, data: Path) -> None:
    """At the joins, the output differs from the signal enhanced at once no more than elsewhere.

    The difference is measured per 10 ms. Its median around the joins may not exceed the 90th percentile of the other
    frames.
    """
    x, _ = soundfile.read(data / "test" / "dns2020_no_reverb" / "noisy" / "fileid_14.flac", dtype="float32")
    scale = np.float32(1 / np.sqrt(np.square(x).mean()))
    whole = open_engine(AUTO, published_weights, threads=1)((x * scale)[np.newaxis]).waveform[0] / scale
    difference = published.enhance(x, 16_000) - whole
    frames = np.square(difference[: len(x) // 160 * 160].reshape(-1, 160)).mean(1)
    segmentation = OverlappingSegments()
    joins = [segment.begin // 160 + i for segment in list(segmentation.plan(len(x)))[1:] for i in range(-2, 12)]
    assert len(joins) == 2 * 14
    assert np.median(frames[joins]) <= np.quantile(np.delete(frames, joins), 0.9)
    # A hard cut makes a step; the cross-fade does not.
    steps = np.abs(np.diff(difference))
    at_joins = max(steps[segment.begin - 1] for segment in list(segmentation.plan(len(x)))[1:])
    assert at_joins <= np.quantile(steps, 0.999)


def test_high_band_follows_speech(published: Enhancer, data: Path) -> None:
    """At 48 kHz, the band above 8 kHz is kept during speech and attenuated in pauses."""
    clean, _ = soundfile.read(data / "test" / "voicebank_demand" / "clean" / "p232_009.flac", dtype="float32")
    wide = soxr.resample(clean, 16_000, 48_000)
    # What speech has above 8 kHz resembles what it has below: its 4 to 8 kHz moved up by 4 kHz.
    spectrum = np.fft.rfft(wide)
    moved, (low, edge, top) = np.zeros_like(spectrum), (int(f * len(wide) / 48_000) for f in (4_000, 8_000, 12_000))
    moved[edge:top] = spectrum[low : low + top - edge]
    high = np.fft.irfft(moved, len(wide)).astype(np.float32)
    hiss = (0.003 * np.random.default_rng(5).standard_normal(len(wide))).astype(np.float32)
    enhanced = published.enhance(wide + high + hiss, 48_000)

    def above_8_khz(x: Floats) -> Floats:
        spectrum = np.fft.rfft(x)
        spectrum[: int(len(x) * 9_000 / 48_000)] = 0
        return np.asarray(np.fft.irfft(spectrum, len(x)), np.float32)

    envelope = np.convolve(np.square(high), np.ones(960), "same")
    loud, pause = envelope > np.quantile(envelope, 0.9), envelope < np.quantile(envelope, 0.2)
    before, after = above_8_khz(wide + high + hiss), above_8_khz(enhanced)

    def change_db(where: NDArray[np.bool_]) -> float:
        return float(10 * np.log10(np.square(after[where]).mean() / np.square(before[where]).mean()))

    assert change_db(loud) > -3
    assert change_db(pause) < -10
