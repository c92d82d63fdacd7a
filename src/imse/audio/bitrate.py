"""The bit rate of lossy files, and the setting of libsndfile's encoders that gives no less."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from imse.audio.interface import AudioInfo
from imse.audio.mpeg import id3_size

LOSSY: Final = frozenset({"VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"})

OPUS_MARGIN: Final = 1.2
"""What to ask of libopus, relative to the bit rate wanted: on average it spends less."""

_MP3_AVERAGE_MARGIN = 1.08  # the same of LAME

_ID3_HEADER = 10
_MPEG1: tuple[int, ...] = (48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2: tuple[int, ...] = (16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# Nominal kbit/s of libvorbis for quality 0.4, 0.5, ... 1.0, of stereo at 44.1 kHz; 0.4 is libsndfile's default.
_VORBIS = (128, 160, 192, 224, 256, 320, 500)


def measure(path: Path, seconds: float) -> tuple[int, bool]:
    """Bits per second of a lossy file that lasts `seconds`, and whether its encoder says that it varies (MP3 only)."""
    with path.open("rb") as file:
        head = file.read(_ID3_HEADER)
        tag = _ID3_HEADER + id3_size(head[6:]) if head.startswith(b"ID3") else 0
        file.seek(tag)
        variable = b"Xing" in file.read(256)  # "Info" in the same place: constant
    return math.ceil((path.stat().st_size - tag) * 8 / seconds), variable


def encoder_settings(info: AudioInfo) -> tuple[float | None, str | None]:
    """Compression level (0 to 1) and bit rate mode for soundfile; None leaves libsndfile's default.

    An input of the same encoding sets the bit rate: MP3 keeps it, Opus and Vorbis never go below their default.
    """
    if info.bit_rate is None:
        return None, None
    if info.subtype == "MPEG_LAYER_III":
        return _mp3(info.bit_rate / 1000, info)
    if info.subtype == "OPUS":
        return _opus(info.bit_rate, info), None
    if info.subtype == "VORBIS":
        return _vorbis(info.bit_rate / 1000, info), None
    return None, None


def _mp3(kbps: float, info: AudioInfo) -> tuple[float, str]:
    """The level of libsndfile counts from the highest bit rate of the MPEG version down to the lowest."""
    if info.sample_rate >= 32_000:
        rates, lowest = _MPEG1, 32
    elif info.sample_rate >= 16_000:
        rates, lowest = _MPEG2, 8
    else:
        rates, lowest = _MPEG2[:7], 8
    highest = rates[-1]
    rate = next((rate for rate in rates if rate >= 0.98 * kbps), highest)  # what is measured includes some padding
    if info.variable_bit_rate:
        rate = min(max(rates[0], math.ceil(kbps * _MP3_AVERAGE_MARGIN)), highest)
    return (highest - rate) / (highest - lowest), "AVERAGE" if info.variable_bit_rate else "CONSTANT"


def _opus(bit_rate: int, info: AudioInfo) -> float | None:
    """The level of libsndfile counts from 256 kbit/s per channel down to 6; the default depends on the rate."""
    wanted = bit_rate * OPUS_MARGIN
    if wanted <= 3000 + info.sample_rate * info.channels:
        return None
    return max(0.0, (256_000 - wanted / info.channels) / 250_000)


def _vorbis(kbps: float, info: AudioInfo) -> float:
    stereo = kbps * 2 / info.channels * max(1, 44_100 / info.sample_rate)
    steps = next((step for step, nominal in enumerate(_VORBIS) if nominal >= stereo), len(_VORBIS) - 1)
    return 1 - (0.4 + 0.1 * steps)
