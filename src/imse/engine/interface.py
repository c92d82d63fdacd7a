"""What every engine offers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from imse.signal.spectrum import Floats


class Enhanced(NamedTuple):
    """What an engine makes of a batch of segments.

    Attributes:
        waveform: The enhanced segments [B, samples].
        noisy: Compressed magnitude of the input [B, bins, T].
        magnitude: Compressed magnitude as enhanced [B, bins, T].
    """

    waveform: Floats
    noisy: Floats
    magnitude: Floats


class Engine(Protocol):
    """A network ready to run, with the short-time Fourier transform around it."""

    @property
    def name(self) -> str:
        """What errors call the network: the file of its weights, where there is one."""

    @property
    def batch(self) -> int:
        """Segments that it likes to be given in one call."""

    def __call__(self, waveform: Floats) -> Enhanced:
        """Enhance a batch of segments [B, samples] at 16 kHz, scaled to the level the network expects."""
