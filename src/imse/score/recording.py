"""What is measured of one recording, in one pass. Of a long one, levels of frames are kept: some 20 MB an hour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imse.audio import AudioInfo, Block, open_reader
from imse.enhancer import HIGHEST_RATE, LOWEST_RATE
from imse.errors import ImseError
from imse.finish.loudness import MOST_CHANNELS, LoudnessMeter
from imse.score.bandwidth import BandwidthMeter
from imse.score.clipping import ClippingMeter
from imse.score.excerpts import Excerpts
from imse.score.frames import LevelMeter, SpeechFrames, SpeechMeter
from imse.score.noise import Noise, estimate_noise
from imse.signal.resample import resample_stream
from imse.signal.spectrum import SAMPLE_RATE

# A recording that never reaches one step of 16 bits is silence.
_SILENCE = 2**-15
# Shorter ones have no pauses, no block of loudness, and no rating that means anything.
_SHORTEST_SECONDS = 0.4


@dataclass(frozen=True)
class Quality:
    """Quality of a recording. What does not exist is None, and its reason is in `missing`.

    Attributes:
        sample_rate: In Hz.
        channels: Number of channels.
        seconds: Length.
        dnsmos_sig: DNSMOS P.835, predicted rating of the speech, 1 to 5, of the mean of all channels at 16 kHz.
        dnsmos_bak: Of the background.
        dnsmos_ovrl: Of the whole.
        noise_floor_db: Root mean square in the pauses in dBFS, the mean power of all channels.
        snr_db: Estimated power of the speech over that of the noise.
        clipped_share: Share of samples in runs of three or more at full scale, 0 to 1.
        clipped_runs: Number of such runs.
        loudness_lufs: Integrated loudness.
        bandwidth_hz: Highest frequency with content.
        damage: One line about what could not be read.
        missing: Reason by name of the attribute, for each that is None.
    """

    sample_rate: int
    channels: int
    seconds: float
    dnsmos_sig: float | None
    dnsmos_bak: float | None
    dnsmos_ovrl: float | None
    noise_floor_db: float | None
    snr_db: float | None
    clipped_share: float
    clipped_runs: int
    loudness_lufs: float | None
    bandwidth_hz: float | None
    damage: str | None
    missing: dict[str, str]


@dataclass(frozen=True)
class Recording:
    """Quality of a recording, and what it takes to compare it with another version of itself.

    Attributes:
        quality: What is measured.
        frames: Levels in bands, and voicing, of frames of 20 ms.
        noise: The estimate of the noise; None for silence and less than 0.4 s.
        head: The first minute, [samples] at 16 kHz, the mean of all channels.
    """

    quality: Quality
    frames: SpeechFrames
    noise: Noise | None
    head: NDArray[np.float32]


class _Meters:
    """All meters of one recording."""

    def __init__(self, info: AudioInfo) -> None:
        rate, channels = info.sample_rate, info.channels
        self.levels = LevelMeter(rate, channels)
        self.clipping = ClippingMeter(channels, info.subtype)
        self.bandwidth = BandwidthMeter(rate)
        self.loudness = LoudnessMeter(rate, channels) if channels <= MOST_CHANNELS else None
        self.speech = SpeechMeter()
        self.excerpts = Excerpts(round(info.frames * SAMPLE_RATE / rate))
        self.peak = 0.0

    def run(self, blocks: Iterable[Block], rate: int) -> None:
        for block in resample_stream(self._mixed(blocks), rate, SAMPLE_RATE, 1):
            self.speech.add(block[:, 0])
            self.excerpts.add(block[:, 0])

    def _mixed(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Measure blocks [frames, channels] of one second, and yield the mean of their channels [frames, 1]."""
        for block in blocks:
            self.peak = max(self.peak, float(np.abs(block).max()))
            self.levels.add(block)
            self.clipping.add(block)
            self.bandwidth.add(block)
            if self.loudness:
                self.loudness.add(block)
            yield block.mean(axis=1, dtype=np.float32, keepdims=True)


def measure(path: Path) -> Recording:
    """Measure a recording of any length, with any number of channels.

    Raises:
        ImseError: Not audio, empty, with NaN or infinite samples, or of a rate below 8 or above 192 kHz.
        OSError: No such file, no permission.
    """
    with open_reader(path) as reader:
        if not reader.info.frames:  # the container does not say how long it is
            reader.count()
        info = reader.info
        if not LOWEST_RATE <= info.sample_rate <= HIGHEST_RATE:
            raise ImseError(f"{path}: a rate of {info.sample_rate} Hz; recordings have {LOWEST_RATE} to {HIGHEST_RATE}")
        meters = _Meters(info)
        meters.run(reader.blocks(info.sample_rate), info.sample_rate)
        if not reader.info.frames:
            raise ImseError(f"{path}: no samples in it")
        return _recording(meters, reader.info, reader.damage)


def _recording(meters: _Meters, info: AudioInfo, damage: str | None) -> Recording:
    frames = meters.speech.frames()
    is_silent = meters.peak < _SILENCE
    is_short = info.frames < _SHORTEST_SECONDS * info.sample_rate
    noise = None if is_silent or is_short else estimate_noise(meters.levels.power(), frames.bands)
    rating = None if is_silent or is_short else meters.excerpts.rating()
    loudness = meters.loudness.lufs() if meters.loudness and not is_short else None
    bandwidth = None if is_silent or is_short else meters.bandwidth.bandwidth_hz()
    values: dict[str, float | None] = {
        "dnsmos_sig": rating.speech if rating else None,
        "dnsmos_bak": rating.background if rating else None,
        "dnsmos_ovrl": rating.overall if rating else None,
        "noise_floor_db": noise.floor_db if noise else None,
        "snr_db": noise.snr_db if noise else None,
        "loudness_lufs": loudness,
        "bandwidth_hz": bandwidth,
    }
    missing = {
        name: _reason(name, is_silent, is_short, info.channels) for name, value in values.items() if value is None
    }
    quality = Quality(
        sample_rate=info.sample_rate,
        channels=info.channels,
        seconds=info.frames / info.sample_rate,
        clipped_share=meters.clipping.share,
        clipped_runs=meters.clipping.runs,
        damage=damage,
        missing=missing,
        **values,
    )
    return Recording(quality, frames, noise, meters.excerpts.head)


def _reason(name: str, is_silent: bool, is_short: bool, channels: int) -> str:
    """Why a number does not exist."""
    if is_silent:
        return "silent"
    if is_short:
        return f"shorter than {_SHORTEST_SECONDS} s"
    if name == "loudness_lufs":
        return f"more than {MOST_CHANNELS} channels" if channels > MOST_CHANNELS else "below -70 LUFS"
    if name == "snr_db":
        return "speech does not stand out from the noise, or there are no pauses"
    return "too quiet"
