"""The frames of an MP3 file, counted without decoding them (ISO/IEC 11172-3 and 13818-3).

libsndfile believes what the first frame says of the length, and guesses where it says nothing: what is joined from
several files, or was written to a pipe, comes out short. So the frames are counted.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import NamedTuple

_LAYER_3 = 1
# kbit/s of layer III by their index in the header; 0 has no fixed size, 15 is forbidden.
_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
# Version bits of the header: bit rates, sample rates, samples per frame.
_VERSIONS = {
    0b11: (_KBPS_1, (44_100, 48_000, 32_000), 1152),
    0b10: (_KBPS_2, (22_050, 24_000, 16_000), 576),
    0b00: (_KBPS_2, (11_025, 12_000, 8_000), 576),
}
_LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")  # in a first frame that holds no sound
_TAG_WITHIN = 64  # bytes of a frame within which such a tag begins
ID3V2_HEADER = 10
_ID3V1 = 128


class MpegFrames(NamedTuple):
    """What is in an MP3 file.

    Attributes:
        samples: Samples per channel in all frames of sound, among them the delay of the encoder.
        size: Bytes of these frames.
        parts: Frames that tell a length: more than one if files were joined.
        has_hole: Whether there is something else between two frames.
        is_cut: Whether the last frame is cut short.
    """

    samples: int
    size: int
    parts: int
    has_hole: bool
    is_cut: bool


def count_frames(path: Path) -> MpegFrames | None:
    """Count the frames of layer III in a file that is not empty; None if there are none."""
    samples = total = parts = 0
    has_hole = is_cut = False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at: int | None = 0
        while at is not None and at < len(data):
            frame = _frame(data, at)
            if frame is None:
                expected = _after_tag(data, at)
                at = _next_frame(data, expected)
                has_hole |= samples > 0 and at is not None and at > expected
                continue
            size, length = frame
            if at + size > len(data):
                is_cut = True
                break
            head = data[at : at + _TAG_WITHIN]
            if any(tag in head for tag in _LENGTH_TAGS):
                parts += 1
            else:
                samples += length
                total += size
            at += size
    return MpegFrames(samples, total, parts, has_hole, is_cut) if samples else None


def _frame(data: mmap.mmap, at: int) -> tuple[int, int] | None:
    """Bytes and samples of the frame whose header is at a place, if one is."""
    header = data[at : at + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or header[1] >> 1 & 3 != _LAYER_3:
        return None
    version = _VERSIONS.get(header[1] >> 3 & 3)
    rate_index = header[2] >> 2 & 3
    if version is None or rate_index == 3:
        return None
    kbps, rates, samples = version
    bit_rate = kbps[header[2] >> 4] * 1000
    if not bit_rate:
        return None
    return samples // 8 * bit_rate // rates[rate_index] + (header[2] >> 1 & 1), samples


def _next_frame(data: mmap.mmap, start: int) -> int | None:
    """Where the next frame begins that another one follows: chance makes one header easily, but not two."""
    at = data.find(b"\xff", start)
    while at >= 0:
        frame = _frame(data, at)
        if frame and _frame(data, at + frame[0]):
            return at
        at = data.find(b"\xff", at + 1)
    return None


def _after_tag(data: mmap.mmap, at: int) -> int:
    """Where a tag of ID3 that begins at a place ends, or the place itself."""
    if data[at : at + 3] == b"TAG":
        return at + _ID3V1
    if data[at : at + 3] == b"ID3":
        return at + ID3V2_HEADER + id3_size(data[at + 6 : at + ID3V2_HEADER])
    return at


def id3_size(digits: bytes) -> int:
    """A size in ID3: four digits of seven bits."""
    size = 0
    for digit in digits:
        size = size << 7 | digit & 0x7F
    return size
