"""Audio and spectrograms inside the page: FLAC and PNG as data URIs."""

from __future__ import annotations

import io
import struct
import zlib
from base64 import b64encode
from functools import cache

import numpy as np
import soundfile
from numpy.typing import NDArray

from imse.evaluate.frames import Float64s
from imse.signal.spectrum import SAMPLE_RATE

_N_FFT = 512
_HOP_LENGTH = 128
_MOST_COLUMNS = 900
_RANGE_DB = 80
# From silence to the loudest bin: dark violet over red to pale yellow, evenly brighter.
_COLOURS = (
    (8, 6, 20), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122),
    (229, 80, 100), (251, 135, 97), (254, 194, 135), (252, 253, 191),
)  # fmt: skip


def audio_uri(signal: Float64s) -> str:
    """A signal [samples] at 16 kHz as FLAC of 16 bits."""
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, SAMPLE_RATE, "PCM_16", format="FLAC")
    return _uri("audio/flac", buffer.getvalue())


def loudest(signal: Float64s) -> float:
    """Power of the loudest bin of a signal's spectrogram, at least that of rounding to 16 bits."""
    return max(float(_power(signal).max()), _N_FFT * 2**-30)


def spectrogram_uri(signal: Float64s, reference: float) -> str:
    """Spectrogram of a signal [samples] as PNG, from 80 dB below the power `reference` up; 0 Hz is at the bottom."""
    level_db = 10 * np.log10(np.maximum(_power(signal) / reference, 10 ** (-_RANGE_DB / 10)))
    shade = np.clip((level_db / _RANGE_DB + 1) * 255, 0, 255).astype(np.uint8)
    return _uri("image/png", _png(shade.T[::-1]))


def _power(signal: Float64s) -> Float64s:
    """Power spectra [T, 257], at most 900 frames however long the signal is."""
    padded = np.pad(signal, (_N_FFT // 2, _N_FFT))
    hop = max(_HOP_LENGTH, -(-len(signal) // _MOST_COLUMNS))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[: len(signal) + 1 : hop]
    power: Float64s = np.abs(np.fft.rfft(frames * np.hanning(_N_FFT + 1)[:-1], axis=1)) ** 2
    return power


def _png(shade: NDArray[np.uint8]) -> bytes:
    """A picture [height, width] of shades as PNG with the palette of spectrograms (ISO/IEC 15948)."""
    height, width = shade.shape
    rows = np.pad(shade, ((0, 0), (1, 0)))  # each row begins with its filter: 0, none
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", _palette()), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


@cache
def _palette() -> bytes:
    anchors = np.linspace(0, 255, len(_COLOURS))
    channels = [np.interp(np.arange(256), anchors, channel) for channel in zip(*_COLOURS, strict=True)]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"
