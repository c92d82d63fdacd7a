"""The sound server of Linux, PulseAudio or PipeWire, by way of `pactl`, which speaks to both."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from imse.errors import ImseError

SYSTEM = "sound server"
SINK, MICROPHONE = "imse", "imse.microphone"
DESCRIPTION = "Microphone without noise"

_TIMEOUT = 10  # seconds for an answer
_MOST_EVENTS = 65_536  # bytes
# Unloads the modules it is given when its standard input ends. That happens at the death of this process in any way.
_CARETAKER = 'cat >/dev/null; for module in "$@"; do pactl unload-module "$module"; done'


@dataclass(frozen=True)
class ServerDevice:
    """A source or a sink of the server."""

    name: str
    description: str
    channels: int
    sample_rate: int
    is_default: bool


def devices(kind: Literal["sources", "sinks"]) -> list[ServerDevice]:
    """All sources or sinks but those of the virtual microphone; none if no server answers."""
    try:
        default = _pactl("get-default-source" if kind == "sources" else "get-default-sink").strip()
        listed = json.loads(_pactl("--format=json", "list", kind))
    except (ImseError, ValueError):
        return []
    own = (SINK, f"{SINK}.monitor", MICROPHONE)
    return [_device(entry, default) for entry in listed if entry["name"] not in own]


class Watch:
    """Notices when sources or sinks of the server disappear.

    The server itself tells nobody, and goes on with another one. In place of a microphone, that may be the virtual one.

    Args:
        names: Of the sources and sinks.

    Raises:
        ImseError: No server answers.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._process = subprocess.Popen(  # noqa: S603
            [_program(), "subscribe"],
            bufsize=0,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )

    def missing(self) -> set[str]:
        """The names that are no more."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], 0)[0]:
            return set()
        events = self._process.stdout.read(_MOST_EVENTS)
        if events and b"'remove'" not in events:
            return set()
        try:
            listed = [_pactl("list", "short", kind) for kind in ("sources", "sinks")]
        except ImseError:  # the server is gone
            return set(self._names)
        return set(self._names) - {line.split("\t")[1] for line in "".join(listed).splitlines()}

    def close(self) -> None:
        """End the watch."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def virtual_microphone(sample_rate: int, channels: int) -> Iterator[str]:
    """A microphone that other programs see, as long as the block lasts. What is played to a sink comes out of it.

    It vanishes with this process however that ends: another process waits for it, and removes it.

    Yields:
        The name of the sink.

    Raises:
        ImseError: No server answers, it cannot do this, or another process has such a microphone.
    """
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    with ExitStack() as resources:
        lock = resources.enter_context((folder / f"imse-microphone-{os.getuid()}.lock").open("a"))
        _lock(lock)
        for module in _leftovers():
            _pactl("unload-module", module)
        caretaker = [shutil.which("sh") or "/bin/sh", "-c", _CARETAKER, "imse"]
        sound = f"rate={sample_rate} channels={channels} format=float32le"
        modules: list[str] = []
        try:
            for arguments in (
                ("module-null-sink", f"sink_name={SINK}", _described("sink", "Input of the microphone without noise")),
                (
                    "module-remap-source",
                    f"source_name={MICROPHONE}",
                    f"master={SINK}.monitor",
                    _described("source", DESCRIPTION),
                ),
            ):
                modules.insert(0, _pactl("load-module", *arguments, *sound.split()).strip())
        except BaseException:
            for module in modules:
                _pactl("unload-module", module)
            raise
        # In a session of its own, where neither Ctrl-C nor the end of a terminal reaches it.
        with subprocess.Popen(  # noqa: S603
            [*caretaker, *modules],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        ):  # at the end of which its standard input is closed, and its end is waited for
            yield SINK


def _lock(lock: IO[str]) -> None:
    import fcntl  # which Windows does not have

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ImseError("another 'imse live --virtual-mic' is running") from None


def _leftovers() -> list[str]:
    """Modules of a process that was killed together with its caretaker, the last loaded first."""
    # PipeWire's own modules have arguments of several lines.
    listed = re.findall(r"^(\d+)\tmodule-[\w-]+\t(.*)$", _pactl("list", "short", "modules"), re.MULTILINE)
    names = {f"sink_name={SINK}", f"source_name={MICROPHONE}"}
    return [number for number, arguments in reversed(listed) if names & set(arguments.split())]


def _described(kind: str, text: str) -> str:
    return f"{kind}_properties=\"device.description='{text}'\""


def _program() -> str:
    program = shutil.which("pactl")
    if program is None:
        raise ImseError("this needs 'pactl', of PulseAudio's utilities: apt install pulseaudio-utils")
    return program


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8"}  # what is read here is not for a user


def _pactl(*arguments: str) -> str:
    """What `pactl` prints.

    Raises:
        ImseError: It is not there, or fails.
    """
    try:
        done = subprocess.run(  # noqa: S603
            [_program(), *arguments], capture_output=True, text=True, check=False, timeout=_TIMEOUT, env=_environment()
        )
    except subprocess.TimeoutExpired:
        raise ImseError("the sound server does not answer") from None
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"pactl {arguments[0]} failed"
        raise ImseError(f"no sound server, or one that refuses: {reason}")
    return done.stdout


def _device(entry: dict[str, Any], default: str) -> ServerDevice:
    # As in "float32le 1ch 48000Hz".
    _, channels, rate = entry["sample_specification"].split()
    return ServerDevice(
        name=entry["name"],
        description=entry["description"],
        channels=int(channels.removesuffix("ch")),
        sample_rate=int(rate.removesuffix("Hz")),
        is_default=entry["name"] == default,
    )
