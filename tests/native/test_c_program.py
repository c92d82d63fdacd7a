"""examples/c: a program in C on the library, built with make, gives what Python's `Enhancer` gives, on ARM as well."""

from __future__ import annotations

import platform
import re
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import imse
from imse.native import build
from imse.signal.spectrum import SAMPLE_RATE
from imse.weights import find
from once import once

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not all(map(shutil.which, ("make", "cc", "c++"))),
    reason="needs Linux, make, and a C and a C++ compiler",
)

Floats = NDArray[np.float32]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "c"
LATENCY_MS = 141


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return done  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything is installed."""
    command = "make", "-j2", "-C", EXAMPLE, "all", "install"
    return once(tmp_path_factory, "c", lambda folder: run(*command, f"BUILD={folder}/build", f"PREFIX={folder}"))


@pytest.fixture(scope="module")
def program(prefix: Path) -> Path:
    return prefix / "bin" / "imse-clean"


@pytest.fixture(scope="module")
def weights() -> Path:
    return find("default", ".safetensors")


@pytest.fixture(scope="module")
def stereo(recording: Floats) -> Floats:
    """4 s, which is more than one segment, of two different channels."""
    return np.stack([recording[: 4 * SAMPLE_RATE], 0.1 * recording[SAMPLE_RATE : 5 * SAMPLE_RATE]], axis=1)


def agreement_db(found: Floats, expected: Floats) -> float:
    assert found.shape == expected.shape
    difference = found.astype(np.float64) - expected
    return float(10 * np.log10(np.sum(np.square(expected, dtype=np.float64)) / np.sum(difference**2)))


def streamed(signal: Floats, sample_rate: int) -> Floats:
    """What a stream makes of a signal that is fed at once."""
    channels = 1 if signal.ndim == 1 else signal.shape[1]
    stream = imse.Stream(sample_rate=sample_rate, channels=channels, latency_ms=LATENCY_MS)
    return np.concatenate([stream.feed(signal), stream.flush()])


def test_flags() -> None:
    """Each file is compiled as for Python."""

    def normalised(flag: str) -> str:
        return f"-I{Path(EXAMPLE, flag[2:]).resolve()}" if flag.startswith("-I") else flag

    def from_make(line: str) -> tuple[Path, frozenset[str]]:
        words = shlex.split(line)
        source = words[words.index("-c") + 1]
        flags = set(words[1:]) - {"-MMD", "-MP", "-c", source, "-o", words[words.index("-o") + 1]}
        return Path(EXAMPLE, source).resolve(), frozenset(map(normalised, flags))

    lines = run("make", "-n", "-C", EXAMPLE, "BUILD=/nowhere").stdout.splitlines()
    compiled = {from_make(line) for line in lines if ".cpp " in line}
    assert compiled == {(source, frozenset((*build._FLAGS, *flags))) for source, flags in build.engine_units()}


@pytest.mark.slow
@pytest.mark.parametrize("limit_db", [None, 12])
def test_whole_recordings(limit_db: int | None, program: Path, weights: Path, stereo: Floats, tmp_path: Path) -> None:
    noisy, clean = tmp_path / "noisy.wav", tmp_path / "clean.wav"
    soundfile.write(noisy, stereo, SAMPLE_RATE, subtype="FLOAT")
    options = () if limit_db is None else ("--attenuation-limit", str(limit_db), "--threads", "2")
    run(program, "--weights", weights, *options, noisy, clean)
    found, rate = soundfile.read(clean, dtype="float32")
    assert rate == SAMPLE_RATE
    assert soundfile.info(clean).subtype == "FLOAT"
    expected = imse.Enhancer(engine="native", attenuation_limit_db=limit_db).enhance(stereo, SAMPLE_RATE)
    assert agreement_db(found, expected) > 100


@pytest.mark.slow
def test_16_bits_in_place(program: Path, weights: Path, recording: Floats, tmp_path: Path) -> None:
    path = tmp_path / "recording.wav"
    soundfile.write(path, recording, SAMPLE_RATE, subtype="PCM_16")
    noisy, _ = soundfile.read(path, dtype="float32")
    run(program, "--weights", weights, path, path)
    found, _ = soundfile.read(path)
    assert soundfile.info(path).subtype == "PCM_16"
    np.testing.assert_allclose(found, imse.Enhancer(engine="native").enhance(noisy, SAMPLE_RATE), atol=0.51 / 32768)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
@pytest.mark.parametrize("rate", [SAMPLE_RATE, 44_100])
def test_streams(rate: int, program: Path, weights: Path, stereo: Floats, tmp_path: Path) -> None:
    """Blocks of 10 ms give what the whole signal gives at once. The header is extensible, and knows no size."""
    noisy, clean = tmp_path / "noisy.wav", tmp_path / "clean.wav"
    signal = stereo[:7_777]
    soundfile.write(noisy, signal, rate, subtype="FLOAT", format="WAVEX")
    content = bytearray(noisy.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff" * 4
    noisy.write_bytes(content)
    run(program, "--weights", weights, "--stream", str(LATENCY_MS), noisy, clean)
    found, _ = soundfile.read(clean, dtype="float32")
    np.testing.assert_array_equal(found, streamed(signal, rate))
    assert soundfile.info(clean).format == "WAVEX"


def _write(**options: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        rate, samples = options.get("rate", SAMPLE_RATE), options.get("samples", np.zeros(3000))
        soundfile.write(path, samples, rate, subtype=options.get("subtype", "PCM_16"))

    return write


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "options", "message"),
    [
        (_write(rate=44100), (), "noisy.wav: 44100 Hz instead of 16000: sox IN.wav -r 16000 OUT.wav, ffmpeg "),
        (
            _write(subtype="PCM_24"),
            (),
            "noisy.wav: 24 bits of encoding 1; 16-bit PCM and 32-bit floats can be read: sox",
        ),
        (_write(samples=np.full(3000, np.nan), subtype="FLOAT"), (), "noisy.wav: NaN or infinite samples"),
        (lambda path: path.write_text("RIFF"), (), "noisy.wav: not a WAV file"),
        (lambda _: None, (), "noisy.wav: No such file or directory"),
        (_write(), ("--threads", "0"), "--threads: threads must be 1 to 1024"),
        (_write(), ("--stream", "5"), "--stream: the lowest latency is 66 ms"),
        (_write(), ("--attenuation-limit", "-1"), "the attenuation limit must be at least 0"),
        (_write(), ("--weights", "noisy.wav"), "noisy.wav: not a safetensors file, or a damaged one"),
        (_write(), ("--weights", "."), ".: Is a directory"),
        (_write(), ("another.wav",), "another.wav: one file more than NOISY.wav and CLEAN.wav"),
        (_write(), ("--fast",), "--fast: no option, or one that needs a value: see --help"),
    ],
)
def test_errors(
    write: Callable[[Path], None],
    options: tuple[str, ...],
    message: str,
    program: Path,
    small_weights: Path,
    tmp_path: Path,
) -> None:
    """One line, and the file that was there is as it was."""
    write(tmp_path / "noisy.wav")
    (tmp_path / "clean.wav").write_text("before")
    command: list[str | Path] = [program, "--weights", small_weights, "noisy.wav", "clean.wav", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    [line] = done.stderr.splitlines()
    assert line.startswith("imse-clean: ")
    assert message in line
    assert {file.name for file in tmp_path.iterdir()} <= {"noisy.wav", "clean.wav"}
    assert (tmp_path / "clean.wav").read_text() == "before"


@pytest.mark.slow
def test_what_cannot_be_written(program: Path, small_weights: Path, tmp_path: Path) -> None:
    noisy = tmp_path / "noisy.wav"
    _write()(noisy)

    def clean(output: str | Path) -> str:
        done = subprocess.run(
            [program, "--weights", small_weights, noisy, output],
            capture_output=True,
            text=True,
            check=False,
            restore_signals=False,  # Python ignores the signal of a file that becomes too large
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        )
        assert done.returncode == 1
        return done.stderr

    assert "clean.wav: File too large" in clean(tmp_path / "clean.wav")
    assert "not a file, so it is not replaced" in clean("/dev/null")
    assert "not a file, so it is not replaced" in clean(tmp_path)
    assert list(tmp_path.iterdir()) == [noisy]


@pytest.fixture(scope="module")
def checked_program(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program's own files with AddressSanitizer and UndefinedBehaviorSanitizer."""
    path = tmp_path_factory.mktemp("checked") / "imse-clean"
    library = ("-I" + str(prefix / "include"), str(prefix / "lib" / "libimse.a"), "-lstdc++", "-lm", "-pthread")
    sanitizers = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    command = ["cc", "-std=c11", "-g1", *sanitizers, *map(str, EXAMPLE.glob("*.c")), *library, "-o", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the compiler has no sanitizers")
    return path


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 79), st.integers(0, 255)), max_size=4), size=st.integers(0, 999))
def test_damaged_files(
    changes: list[tuple[int, int]], size: int, checked_program: Path, small_weights: Path, tmp_path: Path
) -> None:
    """Any header is read or refused in one line."""
    noisy = tmp_path / "noisy.wav"
    soundfile.write(noisy, np.linspace(-1, 1, 90), SAMPLE_RATE, subtype="FLOAT", format="WAVEX")
    content = bytearray(noisy.read_bytes())
    for at, value in changes:
        content[at] = value
    noisy.write_bytes(content[:size])
    command = [str(part) for part in (checked_program, "--weights", small_weights, noisy, tmp_path / "clean.wav")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert len(done.stderr.splitlines()) == done.returncode


@pytest.mark.slow
def test_exported_symbols(prefix: Path) -> None:
    """The functions of imse.h and no others, in a version."""
    declared = re.findall(r"^IMSE_API .*?(imse_\w+)\(", (prefix / "include" / "imse.h").read_text(), re.MULTILINE)
    names = run("nm", "-D", "--defined-only", prefix / "lib" / "libimse.so").stdout.split()[2::3]
    assert set(names) - {"IMSE_1"} == {f"{name}@@IMSE_1" for name in declared}


@pytest.mark.slow
def test_the_program_of_the_guide(prefix: Path, weights: Path, recording: Floats, tmp_path: Path) -> None:
    """docs/devices.md: compiled by the command there, it streams what it is given."""
    guide = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```c\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "live.c").write_text(code)
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed: see .ci/run")
    [command] = re.findall(r"^cc .*live\.c.*$", guide, re.MULTILINE)
    here = {"PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig"), "PATH": "/usr/bin:/bin"}
    run("sh", "-c", f"{command} -Wall -Wextra -Werror", cwd=tmp_path, env=here)
    signal = recording[:7_777]
    (tmp_path / "default.safetensors").write_bytes(weights.read_bytes())
    live = subprocess.run(
        ["./live"],
        cwd=tmp_path,
        input=signal.astype("<f4").tobytes(),
        env={"LD_LIBRARY_PATH": str(prefix / "lib")},
        capture_output=True,
        check=True,
    )
    np.testing.assert_array_equal(np.frombuffer(live.stdout, "<f4"), streamed(signal, SAMPLE_RATE))


@pytest.fixture(scope="module")
def program_for_arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For 64-bit ARM, with all libraries in it."""
    if platform.machine() != "x86_64" or not all(map(shutil.which, ("aarch64-linux-gnu-g++", "qemu-aarch64"))):
        pytest.skip("g++-aarch64-linux-gnu and qemu-user are not installed: see .ci/run")
    compilers = "CC=aarch64-linux-gnu-gcc", "CXX=aarch64-linux-gnu-g++"
    command = "make", "-j2", "-C", EXAMPLE, *compilers, "LDFLAGS=-static", "program"
    return once(tmp_path_factory, "arm", lambda folder: run(*command, f"BUILD={folder}")) / "imse-clean"


@pytest.mark.slow
def test_64_bit_arm(program_for_arm: Path, small_weights: Path, recording: Floats, tmp_path: Path) -> None:
    """Emulated, at 12 s of this processor per second of sound for `small`: so one segment and a narrower network."""
    noisy, clean = tmp_path / "noisy.wav", tmp_path / "clean.wav"
    speech = recording[SAMPLE_RATE : SAMPLE_RATE + 30_700]
    soundfile.write(noisy, speech, SAMPLE_RATE, subtype="FLOAT")
    run("qemu-aarch64", program_for_arm, "--weights", small_weights, noisy, clean)
    found, _ = soundfile.read(clean, dtype="float32")
    assert agreement_db(found, imse.Enhancer(small_weights, engine="native").enhance(speech, SAMPLE_RATE)) > 90


@pytest.mark.slow
def test_vectors_on_64_bit_arm(program_for_arm: Path) -> None:
    """The kernels multiply and add in NEON's registers, of four floats."""
    kernels = program_for_arm.parent / "kernels-baseline.o"
    code = run("aarch64-linux-gnu-objdump", "-d", kernels).stdout
    in_vectors, alone = (len(re.findall(rf"\t{name}\s", code)) for name in (r"fmla\tv\d+\.4s,.*", r"fmadd"))
    assert in_vectors > 500
    assert alone < in_vectors / 10
