"""`imse live - -`: raw samples of every kind through pipes are what `Stream` makes of them; what can go wrong."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from imse import Stream, native
from imse.live.pipes import TYPES
from imse.samples import as_floats, like
from imse.signal.spectrum import Floats

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="needs the compiled engine"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs pipes and signals as on Unix"),
]


@contextmanager
def live(weights: Path, *options: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "imse", "live", "-", "-", "--weights", weights, *options]
    pipe = subprocess.PIPE
    with subprocess.Popen([*map(str, command)], bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def enhanced(weights: Path, data: bytes, *options: str | Path) -> tuple[bytes, str, int]:
    """What comes out, what is said, and the exit code."""
    with live(weights, *options) as process:
        out, said = process.communicate(data)
    return out, said.decode(), process.returncode


def streamed(weights: Path, sound: Floats, rate: int = 16_000) -> Floats:
    stream = Stream(weights, rate, channels=sound.shape[1])
    return np.concatenate([stream.feed(sound), stream.flush()])


def last_line(said: str) -> str:
    return said.splitlines()[-1]


def as_type(sound: Floats, dtype: str) -> NDArray[Any]:
    """In a type of raw samples: nearest, clipped at full scale."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return like(np.empty(0, TYPES[dtype]), sound)


@pytest.mark.parametrize(
    ("dtype", "rate", "channels"),
    [("int16", 16_000, 1), ("uint8", 8_000, 2), ("int32", 48_000, 1), ("float32", 44_100, 2)],
)
def test_every_type_of_samples(small_weights: Path, recording: Floats, dtype: str, rate: int, channels: int) -> None:
    """The same samples as of a stream, rounded and clipped once; as many as went in."""
    raw = as_type(1.5 * recording[20_000 : 20_000 + 9_000 * channels].reshape(-1, channels), dtype)
    options = "--dtype", dtype, "--rate", str(rate), "--channels", str(channels)
    out, said, code = enhanced(small_weights, raw.tobytes(), *options)
    assert code == 0, said
    expected = streamed(small_weights, as_floats(raw).astype(np.float32), rate)
    np.testing.assert_array_equal(np.frombuffer(out, TYPES[dtype]).reshape(-1, channels), as_type(expected, dtype))
    assert said.startswith(f"imse: {dtype} at {rate:,} Hz, {channels} channel")


def test_sound_comes_out_while_it_goes_in(small_weights: Path, recording: Floats) -> None:
    """All but the latency, before the input ends."""
    with live(small_weights, "--dtype", "float32") as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(recording[:16_000].tobytes())
        latency = Stream(small_weights).latency
        out = 0
        while out < 4 * (16_000 - latency):
            out += len(process.stdout.read(65_536))
        rest, _ = process.communicate()
    assert out + len(rest) == 4 * 16_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_good_order(
    number: signal.Signals, small_weights: Path, recording: Floats, tmp_path: Path
) -> None:
    """All that came in goes out and is recorded."""
    sound = recording[:8_000, None]
    with live(small_weights, "--dtype", "float32", "--record", tmp_path / "talk.wav") as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(sound.tobytes())
        first = process.stdout.read(4)  # so all was read
        process.send_signal(number)
        out, said = process.communicate()
    assert process.returncode == 0, said
    expected = streamed(small_weights, sound)
    np.testing.assert_array_equal(np.frombuffer(first + out, np.float32), expected[:, 0])
    for name, samples in (("talk.wav", sound), ("talk.enhanced.wav", expected)):
        np.testing.assert_array_equal(soundfile.read(tmp_path / name, dtype="float32", always_2d=True)[0], samples)


def test_a_reader_that_ends(small_weights: Path, recording: Floats, tmp_path: Path) -> None:
    """One line, and what was recorded stays."""
    with live(small_weights, "--dtype", "float32", "--record", tmp_path / "talk.flac") as process:
        assert process.stdin
        assert process.stdout
        process.stdout.close()
        process.stdin.write(recording[:16_000].tobytes())
        process.stdin.close()
        assert process.stderr
        said = process.stderr.read().decode()
    assert process.wait() == 1
    assert last_line(said) == "imse: standard output was closed by the program that reads it"
    assert soundfile.info(tmp_path / "talk.flac").frames == soundfile.info(tmp_path / "talk.enhanced.flac").frames
    assert soundfile.info(tmp_path / "talk.flac").frames > 0


def test_samples_that_are_no_numbers_count_as_silence(small_weights: Path, recording: Floats) -> None:
    sound = recording[:8_000, None].copy()
    sound[1_000] = np.nan
    out, _, code = enhanced(small_weights, sound.tobytes(), "--dtype", "float32")
    assert code == 0
    np.testing.assert_array_equal(
        np.frombuffer(out, np.float32)[:, None], streamed(small_weights, np.nan_to_num(sound))
    )


def test_input_that_does_not_fit(small_weights: Path, example: Path, tmp_path: Path) -> None:
    wav = tmp_path / "a.wav"
    soundfile.write(wav, np.zeros(9_000), 16_000)
    for data, options, line in (
        (wav.read_bytes(), (), "is a WAV file, not raw samples: 'arecord -t raw' sends those"),
        (bytes(16_001), (), "ended within a sample: it has another --dtype, or other --channels"),
        (b"", ("--latency", "1"), "the lowest latency is"),
        (b"", ("--rate", "7999"), "--rate"),
        (b"", ("--dtype", "int24"), "--dtype"),
        (b"", ("--record", example), "already there; --overwrite replaces it"),
        (b"", ("--record", tmp_path / "a.xyz"), "cannot write .xyz files"),
    ):
        out, said, code = enhanced(small_weights, data, *options)
        assert code in {1, 2}
        assert line in last_line(said)
        assert len(said.splitlines()) <= 2, said
        assert not out.strip(bytes(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav"]
    assert enhanced(small_weights, b"")[::2] == (b"", 0)


def test_terminals_and_closed_files_are_refused(small_weights: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m imse live - - --weights {shlex.quote(str(small_weights))}"
    controller, terminal = pty.openpty()
    for redirection, line in (
        ("<&- >/dev/null", "standard input is closed"),
        ("</dev/null >&-", "standard output is closed"),
        (
            f"</dev/null >{os.ttyname(terminal)}",
            "standard output is a terminal: '-' is for raw samples of another program",
        ),
    ):
        done = subprocess.run(["sh", "-c", f"{command} {redirection}"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, f"imse: {line}\n")
    os.close(controller)
    os.close(terminal)
