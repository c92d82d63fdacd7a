"""Two devices of PortAudio, and a session between them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from imse.audio.c_stderr import quiet_in_c
from imse.errors import ImseError
from imse.live.devices import Device, portaudio
from imse.live.enhancement import BLOCK_SECONDS
from imse.live.server import Watch
from imse.live.session import Session

_LATENCY = 0.03  # seconds of a device's buffer, if it does not want more: Python's callbacks take turns
_GONE_SECONDS = 2.0  # without a callback: some systems say nothing when a device is unplugged
_START_SECONDS = 10.0  # to the first callback: a Bluetooth headset has to be woken


class Duplex:
    """Both devices at work.

    Attributes:
        latency: Of their buffers, in seconds.
    """

    def __init__(self, session: Session, devices: tuple[Device, Device], sample_rate: int, channels: int) -> None:
        self._session = session
        self._devices = devices
        self._heard = [time.monotonic() + _START_SECONDS - _GONE_SECONDS] * 2
        self._streams: list[Any] = []
        self._in_server = {device.in_server: device.name for device in devices if device.in_server is not None}
        self._watch = Watch(self._in_server) if self._in_server else None
        library = portaudio()
        source, sink = devices
        outputs = max(channels, min(2, sink.channels))  # one channel is for both ears
        try:
            for open_stream, device, callback, count in (
                (library.InputStream, source, self._capture, channels),
                (library.OutputStream, sink, self._play, outputs),
            ):
                device.select()
                stream = open_stream(
                    sample_rate,
                    round(BLOCK_SECONDS * sample_rate),
                    device.index,
                    count,
                    "float32",
                    max(_LATENCY, device.latency),
                    callback=callback,
                )
                self._streams.append(stream)
            for stream in self._streams:
                stream.start()
        except library.PortAudioError as error:
            self.close()
            raise ImseError(f"'{device.name}' cannot be opened: {_reason(error)}") from error
        self.latency: float = sum(stream.latency for stream in self._streams)

    def check(self) -> None:
        """See whether both devices are still there.

        Raises:
            ImseError: One has disappeared.
        """
        if self._watch and (missing := self._watch.missing()):
            raise ImseError(f"'{self._in_server[missing.pop()]}' has disappeared")
        for device, stream, heard in zip(self._devices, self._streams, self._heard, strict=True):
            if not stream.active or time.monotonic() > heard + _GONE_SECONDS:
                raise ImseError(f"'{device.name}' has disappeared")

    def close(self) -> None:
        """Let go of the devices."""
        if self._watch:
            self._watch.close()
        for stream in self._streams:
            stream.close()

    def _capture(self, block: Any, _frames: int, _time: object, status: Any) -> None:
        self._heard[0] = time.monotonic()
        self._session.capture(block, bool(status.input_overflow))

    def _play(self, block: Any, frames: int, _time: object, _status: object) -> None:
        self._heard[1] = time.monotonic()
        np.clip(self._session.play(frames), -1, 1, out=block)  # one channel goes to all


@contextmanager
def opened(session: Session, devices: tuple[Device, Device], sample_rate: int, channels: int) -> Iterator[Duplex]:
    """Have a session work between an input and an output device for as long as the block lasts.

    Raises:
        ImseError: A device cannot be opened so.
    """
    with quiet_in_c(every_thread=True):  # threads of PortAudio complain about a device that disappears
        duplex = Duplex(session, devices, sample_rate, channels)
        try:
            yield duplex
        finally:
            duplex.close()


def _reason(error: Exception) -> str:
    """PortAudio's words, without the name of what was called and without its number."""
    return str(error.args[0]).partition(": ")[2].lower() or str(error)
