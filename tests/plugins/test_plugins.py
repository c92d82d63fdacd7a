"""plugins/: in a host they give what a stream of the library gives, as late as they say."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imse import native
from imse.native import Floats, NativeNetwork, NativeStream, stream_settings
from imse.native.build import LIBRARY
from imse.weights import find
from once import once

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = {"imse": "default", "imse_small": "small"}
LATENCY_MS, HOP_MS = 140, 50
NO_LIMIT = 100.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or not all(map(shutil.which, ("make", "c++"))) or not native.available(),
        reason="needs Linux, make, a C++ compiler and the compiled engine",
    ),
    pytest.mark.skipif(
        not Path("/usr/include/ladspa.h").is_file() or not Path("/usr/include/lv2/core/lv2.h").is_file(),
        reason="ladspa-sdk and lv2-dev are not installed: see .ci/run",
    ),
]


def run(*command: str | Path, **variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def program(name: str) -> str:
    return shutil.which(name) or pytest.skip(f"{name} is not installed: see .ci/run")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both plug-ins, on the library of this package: it is compiled from the same files."""
    linked = f"LIBIMSE={LIBRARY}", f"LDFLAGS=-Wl,-rpath,{LIBRARY.parent}"
    command = "make", "-j2", "-C", ROOT / "plugins", *linked, "CXXFLAGS=-Werror"
    return once(tmp_path_factory, "plugins", lambda folder: run(*command, f"BUILD={folder}"))


@pytest.fixture(scope="module")
def ladspa(built: Path) -> Path:
    return built / "ladspa" / "imse.so"


def two_channels(recording: Floats, rate: int, seconds: float) -> Floats:
    """[samples, 2]: the recording from two places on, one of them quiet, with some sound above 8 kHz."""
    signal = np.stack([recording[16_000:48_000], 0.3 * recording[40_000:72_000]], axis=1)
    signal = soxr.resample(signal, 16_000, rate)[: round(seconds * rate)]
    noise = np.random.default_rng(1).standard_normal(signal.shape)
    return np.asarray(signal + 1e-3 * noise, dtype=np.float32)


def expected(noisy: Floats, rate: int, plugin: str = "imse_small", limit_db: float = NO_LIMIT) -> tuple[Floats, int]:
    """The stream's output [samples, channels] with its delay, and the delay in samples."""
    network = NativeNetwork(find(WEIGHTS[plugin], ".safetensors").read_bytes())
    stream = NativeStream(network, stream_settings(LATENCY_MS, rate, np.inf if limit_db >= NO_LIMIT else limit_db))
    latency = stream.latency + -(-HOP_MS * rate // 1000)
    enhanced = np.stack([np.concatenate([stream.feed(channel), stream.flush()]) for channel in noisy.T], axis=1)
    return np.pad(enhanced, ((latency, 0), (0, 0)))[: len(noisy)], latency


# ---- Hosts ----


def apply_plugin(ladspa: Path, noisy: Floats, rate: int, plugin: str, limit_db: float, folder: Path) -> Floats:
    """The host of the LADSPA SDK, which knows 16 bits only, and as many channels as the plug-in has."""
    soundfile.write(folder / "noisy.wav", noisy, rate, subtype="PCM_16")
    files = folder / "noisy.wav", folder / "enhanced.wav"
    run(program("applyplugin"), *files, ladspa, plugin, str(limit_db), LADSPA_PATH=str(ladspa.parent))
    return np.asarray(soundfile.read(folder / "enhanced.wav", dtype="float32", always_2d=True)[0])


def ffmpeg(
    ladspa: Path, noisy: Floats, rate: int, plugin: str, limit_db: float, folder: Path, more: str = ""
) -> Floats:
    soundfile.write(folder / "noisy.wav", noisy, rate, subtype="FLOAT")
    chain = f"asetnsamples=777:pad=0,ladspa=f={ladspa}:p={plugin}:c=c0={limit_db}{more}"
    encoding = "-c:a", "pcm_f32le", "-y"
    arguments = "-v", "error", "-i", folder / "noisy.wav", "-af", chain, *encoding, folder / "enhanced.wav"
    run(program("ffmpeg"), *arguments)
    return np.asarray(soundfile.read(folder / "enhanced.wav", dtype="float32")[0])


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_applyplugin(rate: int, ladspa: Path, recording: Floats, tmp_path: Path) -> None:
    noisy = np.round(two_channels(recording, rate, 1)[:, :1] * 32768) / np.float32(32768)
    found = apply_plugin(ladspa, noisy, rate, "imse_small", 20, tmp_path)
    np.testing.assert_allclose(found, expected(noisy, rate, limit_db=20)[0], atol=1.1 / 32768)


@pytest.mark.parametrize(("rate", "plugin"), [(16_000, "imse_small"), (44_100, "imse_small"), (48_000, "imse")])
def test_ffmpeg(rate: int, plugin: str, ladspa: Path, recording: Floats, tmp_path: Path) -> None:
    noisy = two_channels(recording, rate, 1)
    found = ffmpeg(ladspa, noisy, rate, plugin, NO_LIMIT, tmp_path)
    np.testing.assert_allclose(found, expected(noisy, rate, plugin)[0], atol=1e-6)


def test_ffmpeg_takes_the_delay_away(ladspa: Path, recording: Floats, tmp_path: Path) -> None:
    """By the latency that the plug-in tells it."""
    noisy = two_channels(recording, 48_000, 1)
    delayed, latency = expected(np.pad(noisy, ((0, 48_000), (0, 0))), 48_000)
    found = ffmpeg(ladspa, noisy, 48_000, "imse_small", NO_LIMIT, tmp_path, more=":latency=1")
    np.testing.assert_allclose(found, delayed[latency:][: len(noisy)], atol=1e-6)


def test_lv2apply(built: Path, recording: Floats, tmp_path: Path) -> None:
    """One channel, in blocks of one sample."""
    noisy = two_channels(recording, 48_000, 1)[:, :1]
    soundfile.write(tmp_path / "noisy.wav", noisy, 48_000, subtype="FLOAT")
    files = "-i", tmp_path / "noisy.wav", "-o", tmp_path / "enhanced.wav"
    lv2_path = f"{built / 'lv2'}:/usr/lib/lv2"
    run(program("lv2apply"), *files, "-c", "attenuation_limit", "12", "urn:imse:small", LV2_PATH=lv2_path)
    found, _ = soundfile.read(tmp_path / "enhanced.wav", dtype="float32", always_2d=True)
    np.testing.assert_allclose(found, expected(noisy, 48_000, limit_db=12)[0], atol=1e-6)


def test_lv2_description(built: Path) -> None:
    """The bundle is what the specification asks for, and has the plug-ins and ports that its library has."""
    lv2_path = f"{built / 'lv2'}:/usr/lib/lv2"
    assert {"urn:imse:default", "urn:imse:small"} <= set(run(program("lv2ls"), LV2_PATH=lv2_path).split())
    described = run(program("lv2info"), "urn:imse:default", LV2_PATH=lv2_path)
    assert "Has latency:       yes, reported by port 3" in described


def test_pipewire_takes_the_configuration_of_the_guide(ladspa: Path, tmp_path: Path) -> None:
    """A PipeWire without sound cards has the microphone. It ends, or has no such node, where it finds no plug-in."""
    guide = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    [chain] = re.findall(r"```spa\n(.*?)```", guide, re.DOTALL)
    needed = "protocol-native", "access", "client-node", "adapter"
    modules = "".join(f"{{ name = libpipewire-module-{name} }}\n" for name in needed)
    (tmp_path / "pipewire.conf.d").mkdir()
    (tmp_path / "pipewire.conf.d" / "imse.conf").write_text(chain)
    (tmp_path / "pipewire.conf").write_text(
        "context.properties = { core.daemon = true core.name = pipewire-0 support.dbus = false }\n"
        "context.spa-libs = { audio.convert.* = audioconvert/libspa-audioconvert support.* = support/libspa-support }\n"
        f"context.modules = [ {modules} ]\n"
    )
    here = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "LADSPA_PATH": str(ladspa.parent)}
    command = [program("pipewire"), "-c", "pipewire.conf"]
    with subprocess.Popen(command, env={**here, "PIPEWIRE_CONFIG_DIR": str(tmp_path)}) as daemon:
        try:
            found = ""
            for _ in range(100):
                if "imse.microphone" in found or daemon.poll() is not None:
                    break
                time.sleep(0.1)
                listing = subprocess.run(
                    ["pw-cli", "ls", "Node"], env=here, capture_output=True, text=True, check=False
                )
                found = listing.stdout
        finally:
            daemon.terminate()
    assert {"imse.capture", "imse.microphone"} <= set(re.findall(r'node.name = "(.*)"', found))


# ---- A host of our own ----

_HANDLE, _SIZE, _PORT = ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p


class Descriptor(ctypes.Structure):
    """`LADSPA_Descriptor`."""

    _fields_ = (
        ("unique_id", ctypes.c_ulong),
        ("label", ctypes.c_char_p),
        ("properties", ctypes.c_int),
        *((name, ctypes.c_char_p) for name in ("name", "maker", "copyright")),
        ("port_count", ctypes.c_ulong),
        *((name, ctypes.c_void_p) for name in ("port_kinds", "port_names", "port_hints", "data")),
        ("instantiate", ctypes.CFUNCTYPE(_HANDLE, ctypes.c_void_p, ctypes.c_ulong)),
        ("connect_port", ctypes.CFUNCTYPE(None, _HANDLE, ctypes.c_ulong, _PORT)),
        ("activate", ctypes.CFUNCTYPE(None, _HANDLE)),
        ("run", ctypes.CFUNCTYPE(None, _HANDLE, _SIZE)),
        *((name, ctypes.c_void_p) for name in ("run_adding", "set_run_adding_gain")),
        ("deactivate", ctypes.CFUNCTYPE(None, _HANDLE)),
        ("cleanup", ctypes.CFUNCTYPE(None, _HANDLE)),
    )


class Instance:
    """The small plug-in, as a host makes one."""

    def __init__(self, path: Path, rate: int) -> None:
        library = ctypes.CDLL(str(path))
        library.ladspa_descriptor.restype = ctypes.POINTER(Descriptor)
        self._kind = library.ladspa_descriptor(1).contents
        assert self._kind.label == b"imse_small"
        assert not library.ladspa_descriptor(2)
        self._handle = self._kind.instantiate(ctypes.byref(self._kind), rate)
        self.limit_db, self.latency = ctypes.c_float(NO_LIMIT), ctypes.c_float(-1)
        if self._handle:
            self._kind.connect_port(self._handle, 2, ctypes.addressof(self.limit_db))
            self._kind.connect_port(self._handle, 3, ctypes.addressof(self.latency))

    def __bool__(self) -> bool:
        return bool(self._handle)

    def activate(self) -> None:
        self._kind.activate(self._handle)

    def deactivate(self) -> None:
        self._kind.deactivate(self._handle)

    def run(self, noisy: Floats, in_place: bool = False) -> Floats:
        noisy = noisy.copy()
        enhanced = noisy if in_place else np.full_like(noisy, np.nan)
        self._kind.connect_port(self._handle, 0, noisy.ctypes.data)
        self._kind.connect_port(self._handle, 1, enhanced.ctypes.data)
        self._kind.run(self._handle, len(noisy))
        return enhanced

    def __del__(self) -> None:
        if self._handle:
            self._kind.cleanup(self._handle)


@pytest.fixture
def instantiate(ladspa: Path) -> Callable[[int], Instance]:
    return lambda rate: Instance(ladspa, rate)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.sampled_from([8_000, 11_025, 32_000, 96_000, 192_000]) | st.integers(8_000, 192_000),
    sizes=st.lists(st.integers(1, 20) | st.integers(0, 50_000), min_size=1, max_size=5),
    in_place=st.booleans(),
)
def test_blocks(
    rate: int, sizes: list[int], in_place: bool, instantiate: Callable[[int], Instance], recording: Floats
) -> None:
    """Of any sizes, one after the other, at any rate."""
    noisy = two_channels(recording, rate, 0.5)[:, 0]
    instance = instantiate(rate)
    instance.activate()
    found, at = [], 0
    while at < len(noisy):
        for size in [*sizes, 100]:
            found.append(instance.run(noisy[at : at + size], in_place))
            at += len(found[-1])
    delayed, latency = expected(noisy[:, np.newaxis], rate)
    assert instance.latency.value == latency
    np.testing.assert_allclose(np.concatenate(found), delayed[:, 0], atol=1e-6)


def test_the_latency_is_known_before_the_first_block(instantiate: Callable[[int], Instance]) -> None:
    instance = instantiate(16_000)
    instance.activate()
    instance.run(np.empty(0, np.float32))
    assert instance.latency.value == (50 + 75 + 8 + 50) * 16 - 1


def test_activation_begins_anew(instantiate: Callable[[int], Instance], recording: Floats) -> None:
    instance = instantiate(16_000)
    noisy = recording[16_000:32_000]
    np.testing.assert_array_equal(instance.run(noisy), np.zeros_like(noisy))  # before activation
    instance.activate()
    first = instance.run(noisy)
    instance.deactivate()
    instance.activate()
    np.testing.assert_array_equal(instance.run(noisy), first)


def test_other_instances_change_nothing(instantiate: Callable[[int], Instance], recording: Floats) -> None:
    noisy = two_channels(recording, 16_000, 1)
    instances = [instantiate(16_000) for _ in range(2)]
    for instance in instances:
        instance.activate()
    found = [np.empty(0, np.float32)] * 2
    for at in range(0, len(noisy), 1000):
        for i, instance in enumerate(instances):
            found[i] = np.append(found[i], instance.run(noisy[at : at + 1000, i]))
    del instances[0]  # of which the first closes no network that the second uses
    instances[0].run(noisy[:, 0])
    np.testing.assert_allclose(np.stack(found, axis=1), expected(noisy, 16_000)[0], atol=1e-6)


def test_what_is_no_number_is_silence(instantiate: Callable[[int], Instance], recording: Floats) -> None:
    noisy = recording[16_000:32_000].copy()
    noisy[5_000:5_256] = np.nan
    noisy[[6_000, 6_001, 6_002]] = np.inf, -np.inf, 1e30
    instance = instantiate(16_000)
    instance.limit_db.value = 20
    instance.activate()
    found = instance.run(noisy)
    replaced = np.where(np.abs(noisy) < 1e15, noisy, 0)
    np.testing.assert_allclose(found, expected(replaced[:, np.newaxis], 16_000, limit_db=20)[0][:, 0], atol=1e-6)


def test_the_limit_changes_without_a_click(instantiate: Callable[[int], Instance]) -> None:
    """From the input to nothing of it, over about 20 ms; and any value is taken for a limit."""
    noisy = np.full(16_000, 0.5, np.float32)  # direct current, of which the network leaves nothing
    instance = instantiate(16_000)
    instance.limit_db.value = -5  # as 0: all of the input
    instance.activate()
    before = instance.run(noisy)
    instance.limit_db.value = np.nan  # no limit
    after = instance.run(noisy)
    np.testing.assert_allclose(before[8_000:], 0.5, atol=1e-6)
    assert np.abs(np.diff(after)).max() < 0.01
    np.testing.assert_allclose(after[8_000:], 0, atol=1e-3)


@pytest.mark.parametrize("rate", [0, 4_000, 384_000, 2**40])
def test_rates_without_a_stream(
    rate: int, instantiate: Callable[[int], Instance], capfd: pytest.CaptureFixture[str]
) -> None:
    assert not instantiate(rate)
    assert capfd.readouterr().err == "imse: the sample rate must be 8000 to 192000 Hz\n"
