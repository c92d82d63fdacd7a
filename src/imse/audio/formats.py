"""What is written for a file's name: the container by its extension, the encoding as near the input's as it has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from imse.audio.interface import AudioInfo
from imse.audio.stdio import STDIO
from imse.errors import ImseError

_PCM_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
BITS = _PCM_BITS | {"ALAC_16": 16, "ULAW": 16, "ALAW": 16}
"""Resolution of the encodings that take integers."""

_WIDTHS = _PCM_BITS | {"ULAW": 8, "ALAW": 8, "FLOAT": 32, "DOUBLE": 64}
_WIDE = {
    "ALAC_20": 24, "ALAC_24": 24, "ALAC_32": 32, "FLOAT": 32, "DOUBLE": 32,
    "pcm_s24le": 24, "pcm_s24be": 24, "pcm_s32le": 32, "pcm_f32le": 32,
}  # fmt: skip

_UNSIGNED = frozenset({"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"})
_SIGNED = _UNSIGNED - {"PCM_U8"} | {"PCM_S8"}
# What we write in each container of libsndfile. Its block codecs (ADPCM, GSM) are missing on purpose: they hold
# multiples of their block only, and every generation adds noise; what comes in as ADPCM goes out as 16-bit PCM. ALAC of
# more than 16 bits goes out as PCM, too: libsndfile 1.2 writes noise in place of a block that cannot be compressed,
# as the last one of a recording often cannot.
SUBTYPES = {
    "WAV": _UNSIGNED,
    "WAVEX": _UNSIGNED,
    "RF64": _UNSIGNED,
    "W64": _UNSIGNED,
    "AIFF": _SIGNED,
    "CAF": _SIGNED | {"ALAC_16"},
    "AU": _SIGNED,
    "NIST": _SIGNED - {"FLOAT", "DOUBLE"},
    "FLAC": frozenset({"PCM_S8", "PCM_16", "PCM_24"}),
    "OGG": frozenset({"VORBIS", "OPUS"}),
    "MP3": frozenset({"MPEG_LAYER_III"}),
}
_CONTAINERS = {
    ".wav": "WAV", ".wave": "WAV", ".rf64": "RF64", ".w64": "W64", ".aif": "AIFF", ".aiff": "AIFF", ".aifc": "AIFF",
    ".caf": "CAF", ".au": "AU", ".snd": "AU", ".sph": "NIST", ".nist": "NIST", ".flac": "FLAC", ".ogg": "OGG",
    ".oga": "OGG", ".opus": "OGG", ".mp3": "MP3",
}  # fmt: skip
_MPEG4_CODECS = frozenset({"aac", "alac", "ac3", "eac3"})
_PCM_CODECS = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le"})
_AV_INTEGERS = _PCM_CODECS - {"pcm_f32le"} | {"alac", "flac"}
# Extension: the muxer of FFmpeg, and the codecs we write with it, the default first.
_AV_CONTAINERS = {
    ".m4a": ("mp4", "aac", frozenset({"aac", "alac", "ac3"})),
    ".m4b": ("mp4", "aac", frozenset({"aac", "alac", "ac3"})),
    ".mp4": ("mp4", "aac", _MPEG4_CODECS | {"opus", "flac"}),
    ".m4v": ("mp4", "aac", _MPEG4_CODECS),
    ".mov": ("mov", "aac", _MPEG4_CODECS | _PCM_CODECS),
    ".mkv": ("matroska", "aac", _MPEG4_CODECS | _PCM_CODECS | {"opus", "vorbis", "flac", "mp3"}),
    ".mka": ("matroska", "aac", _MPEG4_CODECS | _PCM_CODECS | {"opus", "vorbis", "flac", "mp3"}),
    ".webm": ("webm", "opus", frozenset({"opus", "vorbis"})),
    ".aac": ("adts", "aac", frozenset({"aac"})),
}
AV_FORMATS = frozenset(muxer for muxer, _, _ in _AV_CONTAINERS.values())
SNDFILE_EXTENSIONS = frozenset(_CONTAINERS)
"""Of the files that libsndfile reads and writes."""
AV_EXTENSIONS = frozenset({*_AV_CONTAINERS, ".avi", ".wma", ".3gp", ".amr"})
"""Of the files that only FFmpeg reads; the last four are not written."""
_WAV_FAMILY = frozenset({"WAV", "WAVEX", "RF64"})


@dataclass(frozen=True)
class _Limits:
    """Of a container or an encoding."""

    rates: tuple[int, ...] | range = range(1, 2**31)
    channels: int = 1024
    # FLAC counts rates above this in tens of Hz.
    odd_rates_end: int = 2**31

    def allow(self, info: AudioInfo) -> bool:
        rate = info.sample_rate
        return rate in self.rates and (rate < self.odd_rates_end or rate % 10 == 0) and info.channels <= self.channels


_MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_AAC_RATES = (7_350, *_MP3_RATES, 64_000, 88_200, 96_000)
_VORBIS = _Limits(range(8_000, 192_001), 255)
_OPUS = _Limits((8_000, 12_000, 16_000, 24_000, 48_000), 255)
_LIMITS = {
    "FLAC": _Limits(range(1, 655_351), 8, 65_536),
    "MPEG_LAYER_III": _Limits(_MP3_RATES, 2),
    "mp3": _Limits(_MP3_RATES, 2),
    "OPUS": _OPUS,
    "opus": _OPUS,
    "VORBIS": _VORBIS,
    "vorbis": _VORBIS,
    "aac": _Limits(_AAC_RATES, 8),
    "alac": _Limits(channels=8),
    "ac3": _Limits((32_000, 44_100, 48_000), 6),
    "eac3": _Limits((32_000, 44_100, 48_000), 6),
    "NIST": _Limits(channels=256),
}
_NAMES = {"MPEG_LAYER_III": "MP3"}
# Sizes in a WAV or AIFF file have 32 bits; the headers and tags want some room too.
SIZE_LIMIT = 2**32 - 2**20
SIZE_LIMITED = frozenset({"WAV", "WAVEX", "AIFF"})


def is_written(path: Path) -> bool:
    """Whether files with the extension of an output are written."""
    return _extension(path) in _CONTAINERS.keys() | _AV_CONTAINERS.keys()


def check_extension(path: Path) -> None:
    """Raise `ImseError` if nothing is written under the extension of an output."""
    if not is_written(path):
        extension = _extension(path)
        kind = f"cannot write {extension} files" if extension else "no extension"
        raise ImseError(f"{path}: {kind}; name one that ends in .wav")


def output_format_for(path: Path, info: AudioInfo) -> AudioInfo:
    """What to write under a name, for an input: same container, same encoding; else the nearest the container has.

    Args:
        path: The output, or ``-`` for WAV on standard output.
        info: The input. Its length decides, too: a large WAV becomes RF64.

    Returns:
        The input's properties with the output's format, subtype and extension.

    Raises:
        ImseError: Nothing is written under this extension, or its format cannot hold this rate or channels.
    """
    check_extension(path)
    extension = _extension(path)
    if extension in _CONTAINERS:
        container, subtype = _sndfile_format(extension, info)
    else:
        container, subtype = _av_format(extension, info)
    for holder in (container, subtype):
        if not _LIMITS.get(holder, _Limits()).allow(info):
            name = _NAMES.get(holder, holder.upper())
            raise ImseError(
                f"{path}: {name} cannot hold {info.channels} channels at {info.sample_rate} Hz; "
                "name one that ends in .wav"
            )
    # The byte order is a matter of the container: kept in the same one, otherwise its own.
    endian = info.endian if container == info.format else "FILE"
    bit_rate = info.bit_rate if subtype == info.subtype else None
    return replace(info, format=container, subtype=subtype, extension=extension, endian=endian, bit_rate=bit_rate)


def holds_integers(info: AudioInfo) -> bool:
    """Whether samples beyond full scale are clipped when they are written: not in floats, nor in lossy encodings."""
    return info.subtype in BITS or info.subtype in _AV_INTEGERS


def bytes_per_frame(info: AudioInfo) -> int:
    """Size of the samples of all channels at one time; 0 if compressed."""
    return _WIDTHS.get(info.subtype, 0) // 8 * info.channels


def _extension(path: Path) -> str:
    return ".wav" if path == STDIO else path.suffix.lower()


def _sndfile_format(extension: str, info: AudioInfo) -> tuple[str, str]:
    container = _CONTAINERS[extension]
    if container == "WAV" and info.channels > 2:
        container = "WAVEX"  # a plain WAV header does not say where more than two speakers are
    same_family = {container, info.format} <= _WAV_FAMILY
    if info.format in SUBTYPES and (extension == info.extension or same_family):
        container = info.format
    subtype = _nearest(info.subtype, SUBTYPES[container])
    if container == "OGG":
        subtype = "OPUS" if extension == ".opus" or info.subtype == "OPUS" else "VORBIS"
    frame_size = bytes_per_frame(replace(info, subtype=subtype))
    if container == "AIFF" and frame_size == 1 and info.frames % 2:
        subtype = "PCM_16"  # libsndfile takes the byte that pads odd sizes for a sample
    size = info.frames * frame_size
    if container in _WAV_FAMILY and size > SIZE_LIMIT:
        container = "RF64"
    return container, subtype


def _av_format(extension: str, info: AudioInfo) -> tuple[str, str]:
    muxer, default, codecs = _AV_CONTAINERS[extension]
    return muxer, info.subtype if info.subtype in codecs else default


def _nearest(subtype: str, allowed: frozenset[str]) -> str:
    """The encoding itself if allowed, else the smallest PCM that loses nothing, else the largest PCM."""
    if subtype in allowed:
        return subtype
    bits = _WIDE.get(subtype) or BITS.get(subtype, 16)
    pcm = sorted((have, name) for name, have in _PCM_BITS.items() if name in allowed)
    if not pcm:
        return min(allowed)
    return next((name for have, name in pcm if have >= bits), pcm[-1][1])
