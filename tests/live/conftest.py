"""Sound servers without sound cards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sound_server import PROGRAMS, Server, sound_server


@pytest.fixture(scope="module", params=PROGRAMS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """PulseAudio, and then PipeWire."""
    yield from sound_server(request.param)


@pytest.fixture
def pulseaudio() -> Iterator[Server]:
    """PulseAudio, for a test that does harm to it."""
    yield from sound_server("pulseaudio")
