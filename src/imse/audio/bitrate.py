"""The bit rate of lossy files, and the setting of libsndfile's encoders that gives no less."""

from __future__ import annotations

from typing import Final

from imse.audio.interface import AudioInfo

OPUS_MARGIN: Final = 1.2
"""What to ask of libopus, relative to the bit rate wanted: on average it spends less."""

_MP3_TOLERANCE = 0.999  # frames are whole bytes: what is measured may lie just above a rate of the standard
_MPEG1: tuple[int, ...] = (48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2: tuple[int, ...] = (16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_LAME_NOTE = 156  # bytes, after the side information of a frame
# Nominal kbit/s of libvorbis for quality 0.4, 0.5, ... 1.0, of stereo at 44.1 kHz; 0.4 is libsndfile's default.
_VORBIS = (128, 160, 192, 224, 256, 320, 500)


def encoder_settings(info: AudioInfo) -> tuple[float | None, str | None]:
    """Compression level (0 to 1) and bit rate mode for soundfile; None leaves libsndfile's default.

    An input of the same encoding sets the bit rate: MP3 gets it or the next higher one of the standard, Opus and Vorbis
    never go below their default.
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
    mono = info.channels == 1
    if info.sample_rate >= 32_000:
        rates, lowest = _MPEG1, 32
        bytes_per_kbps, side = 144_000 / info.sample_rate, 21 if mono else 36
    else:
        rates, lowest = _MPEG2 if info.sample_rate >= 16_000 else _MPEG2[:7], 8
        bytes_per_kbps, side = 72_000 / info.sample_rate, 13 if mono else 21
    highest = rates[-1]
    # Only a frame of this size has room for LAME's note on where the sound begins and ends.
    least = max(_MP3_TOLERANCE * kbps, (side + _LAME_NOTE) / bytes_per_kbps)
    rate = next((rate for rate in rates if rate >= least), highest)
    # Constant: of a variable or average rate, LAME spends less than it is told on what is quiet.
    return (highest - rate) / (highest - lowest), "CONSTANT"


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
