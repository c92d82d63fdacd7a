"""Sound servers without sound cards, for tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_PULSEAUDIO = (
    "exec pulseaudio -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no --realtime=no --high-priority=no "
    "-L module-native-protocol-unix"
)
_PIPEWIRE = "exec dbus-run-session -- sh -c 'pipewire & wireplumber & pipewire-pulse & wait'"
_SECONDS_TO_START = 20
RATE = 48_000  # that of PipeWire's graph: at others it converts
PROGRAMS = {
    "pulseaudio": ("pulseaudio", "pactl", "parec", "paplay"),
    "pipewire": ("pipewire", "wireplumber", "pipewire-pulse", "dbus-run-session", "pactl", "parec", "paplay"),
}


@dataclass(frozen=True)
class Server:
    """A sound server, whose microphone and loudspeaker are null sinks: "mic" and "phones", of one channel."""

    name: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    def run(self, *command: str | Path, check: bool = True) -> str:
        """What a command says that speaks to the server."""
        done = subprocess.run(
            [*map(str, command)], env=self.environment, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout + done.stderr

    def add_sink(self, name: str) -> str:
        """A null sink; returns its module."""
        options = "format=float32le", f"rate={RATE}", "channels=1"
        return self.run("pactl", "load-module", "module-null-sink", f"sink_name={name}", *options).strip()

    def names(self, kind: str) -> set[str]:
        """Of its sinks or sources."""
        return {line.split("\t")[1] for line in self.run("pactl", "list", "short", kind).splitlines()}

    def end(self) -> None:
        """End it, as a crash would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def sound_server(name: str) -> Iterator[Server]:
    """A server for itself, in a folder of its own."""
    for program in PROGRAMS[name]:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: see .ci/run")
    if not [*Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")]:
        pytest.skip("the plug-in of ALSA for sound servers is not installed: see .ci/run")
    try:
        import sounddevice  # noqa: F401
    except OSError:
        pytest.skip("PortAudio is not installed: see .ci/run")
    with tempfile.TemporaryDirectory(
        prefix="imse-"
    ) as folder:  # short: the path of a socket has 107 characters at most
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PULSE_")}
        environment |= {"XDG_RUNTIME_DIR": folder, "HOME": folder, "LC_ALL": "C.UTF-8"}
        command = ["sh", "-c", _PULSEAUDIO if name == "pulseaudio" else _PIPEWIRE]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        server = Server(name, environment, process)
        try:
            deadline = time.monotonic() + _SECONDS_TO_START
            while "Server Name" not in server.run("pactl", "info", check=False):
                assert time.monotonic() < deadline, (Path(folder) / "log").read_text()
                time.sleep(0.1)
            for sink in ("mic", "phones"):
                server.add_sink(sink)
            yield server
        finally:
            if process.poll() is None:
                server.end()
