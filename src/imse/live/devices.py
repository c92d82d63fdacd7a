"""The sound devices of the machine, and the one that a user means.

PortAudio knows them. On Linux it knows a sound server (PulseAudio or PipeWire) as one device alone, named "pulse". The
server lists its microphones and loudspeakers, and an environment variable decides which of them that device is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Literal

from imse.audio.c_stderr import quiet_in_c
from imse.errors import ImseError
from imse.live import server

Direction = Literal["input", "output"]
DIRECTIONS: tuple[Direction, ...] = ("input", "output")

_SERVER = "pulse"
_VARIABLES = {"input": "PULSE_SOURCE", "output": "PULSE_SINK"}


@dataclass(frozen=True)
class Device:
    """Something to take sound from, or to send it to.

    Attributes:
        name: As the system shows it.
        direction: Whether it is an input or an output.
        index: Number of the device in PortAudio.
        channels: The most it has.
        sample_rate: The one it likes best, in Hz.
        latency: The least that its buffer takes, in seconds, according to PortAudio.
        in_server: Its name in the sound server, if it is one of a server.
        is_default: Whether it is the one to take where none is asked for.
        system: The part of the operating system that it belongs to, as PortAudio calls it.
    """

    name: str
    direction: Direction
    index: int
    channels: int
    sample_rate: int
    latency: float
    in_server: str | None = None
    is_default: bool = False
    system: str = ""

    def select(self) -> None:
        """Have the sound server's device, if it is one, stand behind PortAudio's, for what is opened next."""
        if self.in_server is not None:
            os.environ[_VARIABLES[self.direction]] = self.in_server


def portaudio() -> ModuleType:
    """The module sounddevice, with PortAudio behind it.

    Raises:
        ModuleNotFoundError: It is not installed.
        ImseError: The system has no PortAudio.
    """
    try:
        with quiet_in_c():  # ALSA complains about every device that it is configured for and that is not there
            import sounddevice
    except OSError as error:
        raise ImseError("PortAudio is not installed: apt install libportaudio2, or as your system calls it") from error
    module: ModuleType = sounddevice
    return module


def devices(direction: Direction) -> list[Device]:
    """All inputs, or all outputs, those of a sound server first.

    Raises:
        ModuleNotFoundError: The extra `live` is not installed.
        ImseError: The system has no PortAudio.
    """
    library = portaudio()
    systems = [system["name"] for system in library.query_hostapis()]
    default = library.default.device[DIRECTIONS.index(direction)]
    found = [
        Device(
            name=device["name"],
            direction=direction,
            index=device["index"],
            channels=device[f"max_{direction}_channels"],
            sample_rate=round(device["default_samplerate"]),
            latency=device[f"default_low_{direction}_latency"],
            is_default=device["index"] == default,
            system=systems[device["hostapi"]],
        )
        for device in library.query_devices()
        if device[f"max_{direction}_channels"]
    ]
    gate = _gate(found)
    if gate is None:
        return found
    return [
        replace(
            gate,
            name=device.description,
            channels=device.channels,
            sample_rate=device.sample_rate,
            in_server=device.name,
            is_default=device.is_default,
            system=server.SYSTEM,
        )
        for device in server.devices("sources" if direction == "input" else "sinks")
    ] or found


def output_of_server(in_server: str, name: str, channels: int) -> Device:
    """A sink of the sound server that `devices` does not list.

    Raises:
        ModuleNotFoundError: The extra `live` is not installed.
        ImseError: PortAudio does not know the server.
    """
    gate = _gate(devices("output"))
    if gate is None:
        raise ImseError(
            "PortAudio does not find the sound server: apt install libasound2-plugins, or alsa-plugins-pulseaudio"
        )
    return replace(gate, name=name, in_server=in_server, channels=channels)


def _gate(found: Sequence[Device]) -> Device | None:
    """A device that stands for the sound server."""
    by_server = (device for device in found if device.name == _SERVER or device.in_server is not None)
    return next(by_server, None) if sys.platform == "linux" else None


def choose(available: Sequence[Device], wanted: str | None) -> Device:
    """The device that a user means.

    Args:
        available: Inputs, or outputs.
        wanted: A part of its name, in small letters or capitals; None for the default.

    Raises:
        ImseError: There is none, or more than one.
    """
    if not available:
        raise ImseError("the system has no sound device of this kind: 'imse live --list' shows all")
    direction = available[0].direction
    if wanted is None:
        return next((device for device in available if device.is_default), available[0])
    text = wanted.casefold()
    for names in (
        [device for device in available if text in (device.name.casefold(), (device.in_server or "").casefold())],
        [device for device in available if text in f"{device.name} {device.in_server or ''}".casefold()],
    ):
        # One microphone may be there once for each of several parts of the system, as in Windows.
        system = next((device.system for device in available if device.is_default), names[0].system if names else "")
        for matches in (names, [device for device in names if device.system == system]):
            if len(matches) == 1:
                return matches[0]
        if names:
            among = ", ".join(f"'{device.name}'" for device in names)
            raise ImseError(f"'{wanted}' may be one of several {direction}s: {among}")
    there = ", ".join(f"'{device.name}'" for device in available)
    raise ImseError(f"no {direction} is called '{wanted}'; there are {there}")
