"""The settings of finishing, and the steps in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from imse.arguments import number_within
from imse.signal.fir import filter_stream, high_pass_kernel
from imse.signal.resample import Block

LOWEST_HZ, HIGHEST_HZ = 10.0, 1_000.0
QUIETEST_LUFS, LOUDEST_LUFS = -60.0, 0.0
TRUE_PEAK_LIMIT_DB = -1.0
"""dBTP: encoders of lossy formats need that much room (EBU R 128)."""

_TOLERANCE_LU = 0.1


class Loudness(NamedTuple):
    """How loudness is set.

    Attributes:
        gain: The factor for all samples.
        lufs: The loudness that it brings about: less than asked for where the true peak allows no more; None if there
            is no loudness.
    """

    gain: float
    lufs: float | None


@dataclass(frozen=True)
class Finishing:
    """What is to be done; nothing where a setting is None.

    Attributes:
        high_pass_hz: The high-pass filter's cutoff, 10 to 1,000 Hz: 6 dB less there, 60 dB less from an octave below it
            on, and nothing changed from half as much above it on.
        loudness_lufs: Integrated loudness (ITU-R BS.1770, EBU R 128), -60 to 0 LUFS.

    Raises:
        WrongValueError: A setting out of its range.
        WrongTypeError: A setting that is no number.
        ModuleNotFoundError: Loudness needs PyAV, which is not installed.
    """

    high_pass_hz: float | None = None
    loudness_lufs: float | None = None

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("high_pass_hz", LOWEST_HZ, HIGHEST_HZ),
            ("loudness_lufs", QUIETEST_LUFS, LOUDEST_LUFS),
        ):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, number_within(name, value, lowest, highest))
        if self.loudness_lufs is not None:
            import av  # noqa: F401 - whether it is missing is found out before the work

    @property
    def is_none(self) -> bool:
        """Whether nothing is to be done."""
        return self == Finishing()

    @property
    def needs_all(self) -> bool:
        """Whether the whole signal must be there before its first sample can be written."""
        return self.loudness_lufs is not None

    def filtered(self, blocks: Iterable[Block], sample_rate: int) -> Iterator[Block]:
        """Apply the high-pass filter; samples stay where they are."""
        if self.high_pass_hz is None:
            yield from blocks
        else:
            yield from filter_stream(blocks, high_pass_kernel(self.high_pass_hz, self.high_pass_hz, sample_rate))

    def loudness(self, blocks: Iterable[Block], sample_rate: int, channels: int) -> Loudness:
        """The gain that brings a signal to the loudness asked for; 1, without a look at it, if none is.

        Args:
            blocks: The signal. If a loudness is asked for, it is passed over twice.
            sample_rate: In Hz.
            channels: Their number.

        Raises:
            WrongValueError: More channels than loudness is defined for.
        """
        if self.loudness_lufs is None:
            return Loudness(1.0, None)
        from imse.finish.loudness import gain_to, measure

        return gain_to(self.loudness_lufs, measure(blocks, sample_rate, channels))

    def note(self, name: str, loudness: Loudness) -> str | None:
        """A line for the user on the output of that name, if its loudness is not what was asked for."""
        if self.loudness_lufs is None:
            return None
        if loudness.lufs is None:
            return f"{name}: silence, or shorter than 0.4 s: its loudness is left as it is"
        if loudness.lufs > self.loudness_lufs - _TOLERANCE_LU:
            return None
        return (
            f"{name}: loudness {loudness.lufs:.1f} LUFS instead of {self.loudness_lufs:g}, "
            f"so that the true peak is not above {TRUE_PEAK_LIMIT_DB:g} dBTP"
        )
