"""Loudness and true peak of a signal in blocks (ITU-R BS.1770-4, EBU R 128), and the gain that sets them.

FFmpeg measures the loudness, through PyAV: it streams, where most libraries want the whole signal in memory. It is
given 48 kHz, the rate for which the standard defines its filters. The true peak is that of the signal at four times its
rate, as in the standard; FFmpeg's has too few digits for quiet signals.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

from imse.errors import WrongValueError
from imse.finish.finishing import TRUE_PEAK_LIMIT_DB, Loudness
from imse.signal.resample import Block, resample_stream

_RATE = 48_000
_OVERSAMPLING = 4
_SILENCE_LUFS = -70.0  # the standard's absolute gate, and what FFmpeg says of silence
_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
MOST_CHANNELS = len(_LAYOUTS)
_INTEGRATED = "lavfi.r128.I"


class Measured(NamedTuple):
    """What was measured.

    Attributes:
        lufs: Integrated loudness, or None: silence, or less than the 0.4 s that the standard needs.
        true_peak: Relative to full scale.
    """

    lufs: float | None
    true_peak: float


def gain_to(lufs: float, measured: Measured) -> Loudness:
    """The gain to a loudness. It is lower where the true peak would exceed `TRUE_PEAK_LIMIT_DB`: nothing is clipped."""
    if measured.lufs is None:
        return Loudness(1.0, None)
    gain = 10 ** ((lufs - measured.lufs) / 20)
    if measured.true_peak > 0:
        gain = min(gain, 10 ** (TRUE_PEAK_LIMIT_DB / 20) / measured.true_peak)
    return Loudness(gain, measured.lufs + 20 * float(np.log10(gain)))


def measure(blocks: Iterable[Block], sample_rate: int, channels: int) -> Measured:
    """Integrated loudness and true peak of a signal [frames, channels], in memory that does not grow with its length.

    Args:
        blocks: The signal; it is passed over twice.
        sample_rate: In Hz.
        channels: At most 8, in the order of WAV files.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
        WrongValueError: More channels.
    """
    if channels > MOST_CHANNELS:
        raise WrongValueError(f"{channels} channels; loudness can be set of at most {MOST_CHANNELS}")
    oversampled = resample_stream(blocks, sample_rate, _OVERSAMPLING * sample_rate, channels)
    true_peak = max((float(np.abs(block).max(initial=0)) for block in oversampled), default=0.0)
    meter = LoudnessMeter(sample_rate, channels)
    for block in blocks:
        meter.add(block)
    return Measured(meter.lufs(), true_peak)


class LoudnessMeter:
    """Integrated loudness of a signal that comes in blocks.

    Args:
        sample_rate: In Hz.
        channels: At most 8, in the order of WAV files.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        from av.filter import Graph

        self._resampler = soxr.ResampleStream(sample_rate, _RATE, channels, "float64")
        self._channels = channels
        self._layout = _LAYOUTS[channels - 1]
        self._graph = Graph()
        source = self._graph.add_abuffer(
            sample_rate=_RATE, format="dbl", layout=self._layout, time_base=Fraction(1, _RATE)
        )
        filters = (source, self._graph.add("ebur128", "metadata=1"), self._graph.add("abuffersink"))
        self._graph.link_nodes(*filters).configure()
        self._frames = 0
        self._lufs = _SILENCE_LUFS

    def add(self, block: Block) -> None:
        """Take the next samples [frames, channels]."""
        self._push(self._resampler.resample_chunk(np.ascontiguousarray(block, np.float64)))

    def lufs(self) -> float | None:
        """Integrated loudness; None for silence, or less than 0.4 s. Nothing can be added after."""
        self._push(self._resampler.resample_chunk(np.empty((0, self._channels)), last=True))
        self._graph.push(None)
        self._pull()
        return self._lufs if self._lufs > _SILENCE_LUFS else None

    def _push(self, block: NDArray[np.float64]) -> None:
        """Give samples at 48 kHz to the filter."""
        from av.audio.frame import AudioFrame

        if not len(block):
            return
        # Samples of all channels in turns: PyAV cannot fill eight planes.
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), "dbl", self._layout)
        frame.sample_rate, frame.time_base, frame.pts = _RATE, Fraction(1, _RATE), self._frames
        self._frames += len(block)
        self._graph.push(frame)
        self._pull()

    def _pull(self) -> None:
        """Keep the integrated loudness up to the last frame that the filter has ready."""
        from av import FFmpegError

        with suppress(FFmpegError):  # it wants more, or this is the end
            while True:
                self._lufs = float(self._graph.pull().metadata.get(_INTEGRATED, self._lufs))
