"""Loudness and true peak of a signal in blocks (ITU-R BS.1770-4, EBU R 128), and the gain that sets them.

FFmpeg measures the loudness, through PyAV: it streams, where most libraries want the whole signal in memory. It is
given 48 kHz, the rate for which the standard defines its filters. The true peak is that of the signal at four times its
rate, as in the standard; FFmpeg's has too few digits for quiet signals.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from imse.errors import WrongValueError
from imse.finish.finishing import TRUE_PEAK_LIMIT_DB, Loudness
from imse.signal.resample import Block, resample_stream

if TYPE_CHECKING:
    from av.filter import Graph

_RATE = 48_000
_OVERSAMPLING = 4
_SILENCE_LUFS = -70.0  # the standard's absolute gate, and what FFmpeg says of silence
_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
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
    if channels > len(_LAYOUTS):
        raise WrongValueError(f"{channels} channels; loudness can be set of at most {len(_LAYOUTS)}")
    oversampled = resample_stream(blocks, sample_rate, _OVERSAMPLING * sample_rate, channels)
    true_peak = max((float(np.abs(block).max(initial=0)) for block in oversampled), default=0.0)
    return Measured(_integrated(resample_stream(blocks, sample_rate, _RATE, channels), channels), true_peak)


def _integrated(blocks: Iterable[Block], channels: int) -> float | None:
    """Integrated loudness in LUFS of a signal at 48 kHz."""
    from av.audio.frame import AudioFrame
    from av.filter import Graph

    time_base = Fraction(1, _RATE)
    layout = _LAYOUTS[channels - 1]
    graph = Graph()
    source = graph.add_abuffer(sample_rate=_RATE, format="dblp", layout=layout, time_base=time_base)
    graph.link_nodes(source, graph.add("ebur128", "metadata=1"), graph.add("abuffersink")).configure()
    lufs, frames = _SILENCE_LUFS, 0
    for block in blocks:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block.T, np.float64), "dblp", layout)
        frame.sample_rate, frame.time_base, frame.pts = _RATE, time_base, frames
        frames += len(block)
        graph.push(frame)
        lufs = _latest(graph, lufs)
    graph.push(None)
    lufs = _latest(graph, lufs)
    return lufs if lufs > _SILENCE_LUFS else None


def _latest(graph: Graph, before: float) -> float:
    """The integrated loudness up to the last frame that the filter has ready, or that before it."""
    from av import FFmpegError

    with suppress(FFmpegError):  # it wants more, or this is the end
        while True:
            before = float(graph.pull().metadata.get(_INTEGRATED, before))
    return before
