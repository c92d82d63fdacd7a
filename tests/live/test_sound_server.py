"""`imse live` with PulseAudio and PipeWire: the sound, the virtual microphone, keys, and devices that disappear."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from imse import Stream, native
from imse.live.server import MICROPHONE, SINK
from imse.processors import processors
from imse.signal.spectrum import Floats
from sound_server import RATE, Server

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or not native.available(), reason="needs Linux and the compiled engine"),
]

IMSE = sys.executable, "-m", "imse", "live"


@dataclass
class Live:
    """A running `imse live`."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end; returns the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(20)
        assert self.process.stderr
        self.said += self.process.stderr.read().splitlines()
        return code


@contextmanager
def live(server: Server, weights: Path, *options: str | Path) -> Iterator[Live]:
    """It has begun when it says how late it is."""
    command = [*map(str, (*IMSE, "--weights", weights, *options))]
    with subprocess.Popen(
        command, env=server.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            line = process.stderr.readline()
            assert "ms late" in line, line + process.stderr.read()
            yield Live(process, [line.rstrip()])
        finally:
            process.kill()


class Recorder:
    """What comes out of a source, and when."""

    def __init__(self, server: Server, source: str) -> None:
        kind = "--raw", "--format=float32le", f"--rate={RATE}", "--channels=1", "--latency-msec=10"
        self._process = subprocess.Popen(
            ["parec", "-d", source, *kind], env=server.environment, stdout=subprocess.PIPE, bufsize=0
        )
        self._data = bytearray()
        self._began = float("inf")
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout
        while data := self._process.stdout.read(65_536):
            self._data += data
            # The one that came with the least delay tells the most exactly.
            self._began = min(self._began, time.monotonic() - len(self._data) / 4 / RATE)

    def end(self) -> tuple[Floats, float]:
        """The samples, and when the first of them was recorded."""
        self._process.terminate()
        self._thread.join()
        self._process.communicate()
        return np.frombuffer(bytes(self._data[: len(self._data) // 4 * 4]), np.float32), self._began


def place(part: Floats, whole: Floats) -> int:
    """Where in a signal a part of it is."""
    size = len(part) + len(whole)
    spectrum = np.fft.rfft(whole, size) * np.fft.rfft(part, size).conj()
    return int(np.argmax(np.fft.irfft(spectrum, size)[: len(whole) - len(part) + 1]))


def snr_db(part: Floats, whole: Floats, at: int) -> float:
    error = np.square(part - whole[at : at + len(part)]).sum(dtype=np.float64)
    return float(10 * np.log10(np.square(part).sum(dtype=np.float64) / max(error, 1e-20)))


@dataclass
class Call:
    """What a call through the virtual microphone gave."""

    snrs_db: tuple[
        float, float, float
    ]  # the input with what was played; the output, and what was heard, with the stream
    delay_ms: float
    said: list[str]


def call(server: Server, weights: Path, played: Path, folder: Path) -> Call:
    """Speak into the microphone, and record what other programs hear."""
    options = "mic.monitor", "--virtual-mic", "--record", folder / "talk.wav", "--overwrite"
    with live(server, weights, *options) as running:
        ears = [Recorder(server, name) for name in ("mic.monitor", MICROPHONE)]
        time.sleep(2)  # until all buffers are as short as these ask for
        server.run("paplay", "-d", "mic", played)
        time.sleep(1)
        (mouth, mouth_began), (ear, ear_began) = (recorder.end() for recorder in ears)
        assert running.end(signal.SIGTERM) == 0
    sound = soundfile.read(played, dtype="float32")[0][RATE // 2 :]  # without what a server fades in
    noisy, enhanced = (soundfile.read(folder / name, dtype="float32")[0] for name in ("talk.wav", "talk.enhanced.wav"))
    stream = Stream(weights, RATE)
    expected = np.concatenate([stream.feed(noisy), stream.flush()])
    begin = place(sound, noisy)
    part = expected[begin : begin + len(sound)]
    heard = place(part, ear)
    return Call(
        snrs_db=(snr_db(sound, noisy, begin), snr_db(expected, enhanced, 0), snr_db(part, ear, heard)),
        delay_ms=1000 * (ear_began + heard / RATE - mouth_began - place(sound, mouth) / RATE),
        said=running.said,
    )


@pytest.mark.slow
def test_the_virtual_microphone_is_the_stream(
    server: Server, small_weights: Path, recording: Floats, tmp_path: Path
) -> None:
    """Other programs hear what `Stream` makes of a real recording, as late as was said; nothing is left at the end."""
    played = soxr.resample(recording[:28_000], 16_000, RATE)
    soundfile.write(tmp_path / "played.wav", played, RATE, subtype="FLOAT")
    before = server.names("sinks")
    for _ in range(3):  # a busy machine loses sound in any of the programs that take part
        result = call(server, small_weights, tmp_path / "played.wav", tmp_path)
        if min(result.snrs_db) > 40:
            break
    if min(result.snrs_db) <= 40 and os.getloadavg()[0] > 2 * processors():
        pytest.skip("others need more of this machine than there is: no sound in real time")
    assert min(result.snrs_db) > 40, result
    stated_ms = sum(int(number) for line in result.said for number in re.findall(r"(\d+) ms late", line))
    assert abs(result.delay_ms - stated_ms) < 50, result
    assert server.names("sinks") == before
    assert MICROPHONE not in server.names("sources")


@pytest.mark.slow
def test_the_virtual_microphone_vanishes_with_its_process(server: Server, small_weights: Path) -> None:
    """After a kill too; what is left when even its caretaker was killed is removed at the next start."""
    server.add_sink(SINK)
    with live(server, small_weights, "mic.monitor", "--virtual-mic") as running:
        assert {SINK, "mic", "phones"} <= server.names("sinks")
        listing = server.run("pactl", "list", "short", "modules")
        assert len(re.findall(rf"\bsink_name={SINK}\b", listing)) == 1
        assert MICROPHONE in server.names("sources")
        assert "Microphone without noise" not in server.run(*IMSE, "--list")  # to hear itself is no use
        second = server.run(*IMSE, "mic.monitor", "--virtual-mic", check=False)
        assert second == "imse: another 'imse live --virtual-mic' is running\n"
        running.end(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while SINK in server.names("sinks") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert SINK not in server.names("sinks")
    assert MICROPHONE not in server.names("sources")


def test_devices_are_listed_and_found_by_name(server: Server) -> None:
    listing = server.run(*IMSE, "--list")
    inputs, _, outputs = listing.partition("outputs\n")
    assert "(mic.monitor), 1 x 48,000 Hz" in inputs
    assert "(phones), 1 x 48,000 Hz" in outputs
    assert listing.endswith("* is taken where none is named\n")
    for arguments, message in (
        (["theremin"], "no input is called 'theremin'; there are '"),
        (["monitor"], "'monitor' may be one of several inputs: '"),
        (["mic.monitor", "theremin"], "no output is called 'theremin'; there are '"),
        (["mic.monitor", "phones", "--channels", "2"], "has 1 channel, not 2"),
        (["mic.monitor", "phones", "--latency", "1"], "the lowest latency is"),
    ):
        said = server.run(*IMSE, *arguments, check=False)
        assert message in said
        assert len(said.splitlines()) == 1


def test_a_microphone_that_disappears(pulseaudio: Server, small_weights: Path, tmp_path: Path) -> None:
    """One line, and the recording is saved; the server would have gone on with another source."""
    module = pulseaudio.add_sink("usb")
    with live(pulseaudio, small_weights, "usb.monitor", "phones", "--record", tmp_path / "talk.wav") as running:
        time.sleep(2.5)
        pulseaudio.run("pactl", "unload-module", module)
        assert running.wait() == 1
    assert len(running.said) == 2
    assert running.said[1].endswith("has disappeared")
    assert soundfile.info(tmp_path / "talk.wav").frames == soundfile.info(tmp_path / "talk.enhanced.wav").frames > 0


def test_a_server_that_crashes(pulseaudio: Server, small_weights: Path, tmp_path: Path) -> None:
    with live(pulseaudio, small_weights, "mic.monitor", "phones", "--record", tmp_path / "talk.wav") as running:
        time.sleep(2.5)
        pulseaudio.end()
        assert running.wait() == 1
    assert running.said[1].endswith("has disappeared")
    assert len(running.said) == 2
    assert soundfile.info(tmp_path / "talk.wav").frames > 0


def test_meters_and_keys(pulseaudio: Server, small_weights: Path) -> None:
    """On a terminal: levels, load and drop-outs; b hears the input, q ends, and the terminal is as before."""
    controller, terminal = pty.openpty()
    os.set_inheritable(terminal, True)
    environment = {**pulseaudio.environment, "COLUMNS": "80", "TERM": "xterm"}
    command = [*IMSE, "mic.monitor", "phones", "--weights", str(small_weights)]
    with subprocess.Popen(command, env=environment, stdin=terminal, stderr=terminal) as process:
        os.close(terminal)
        try:
            shown = _shown_until(controller, b"hear the input")
            assert re.search(rb"in .*-120 dB.*out .*dB.*removed +\d+ dB.*load +\d+%.*drop-outs \d+", shown, re.DOTALL)
            os.write(controller, b"b")
            _shown_until(controller, b"hearing the input")
            os.write(controller, b"q")
            _shown_until(controller, b"drop-out")
            assert process.wait(20) == 0
        finally:
            process.kill()
            os.close(controller)


def _shown_until(controller: int, text: bytes) -> bytes:
    shown = b""
    deadline = time.monotonic() + 20
    while text not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([controller], [], [], 1)[0]:
            shown += os.read(controller, 65_536)
    return shown
