"""Files that FFmpeg writes through PyAV: m4a, and videos, whose pictures are copied from the input.

Imported only for files that need it: PyAV is the extra ``imse[av]``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Disposition, Stream

from imse.audio.av_reader import is_picture, opened, tags_of
from imse.audio.av_vorbis import VorbisTrack
from imse.audio.bitrate import OPUS_MARGIN
from imse.audio.callbacks import CallbackFile, interrupts_deferred
from imse.audio.interface import AudioInfo, Block
from imse.errors import ImseError

_ENCODERS = {"opus": "libopus", "mp3": "libmp3lame"}
_LOSSY_FRAMES = frozenset({"aac", "opus", "ac3", "eac3"})
_LOSSLESS = frozenset({"alac", "flac"})
_BIT_RATE_PER_CHANNEL = 96_000  # where the input has none to keep
_MARGIN = {"opus": OPUS_MARGIN}
_LEAST_PER_CHANNEL = {"aac": 64_000, "opus": 32_000}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_WITH_EDIT_LISTS = frozenset({"mp4", "mov"})
_M4A = frozenset({".m4a", ".m4b"})
_COPIED = frozenset({"video", "audio", "subtitle"})
_WITH_ATTACHMENTS = "matroska"
_WITH_PICTURES = frozenset({"mov"})  # as tracks; in the others they are attachments, tags, or nothing
_TAGGED_BY_FFMPEG = frozenset({"matroska", "webm", "mov"})  # the others get their tags when they are complete
_WITH_RANDOM_NUMBERS = frozenset({"matroska", "webm"})
_UNKNOWN_KIND = "application/octet-stream"


class AvWriter:
    """Writes a media file: the samples as its first audio track, the other tracks as they are in the input.

    Args:
        sink: Where the bytes go.
        info: What to write, as `output_format_for` says; the length is right if `frames` is.
        path: What to call the file in errors.

    Raises:
        ImseError: FFmpeg does not write such a file.
    """

    def __init__(self, sink: CallbackFile, info: AudioInfo, path: Path) -> None:
        self._sink = sink
        self._info = info
        self._path = path
        with self._explained(), ExitStack() as resources:
            with interrupts_deferred():
                start = self._set_up(resources)
            self._resources = resources.pop_all()
        self._begin = round(start * info.sample_rate)
        self._can_cut = info.format in _WITH_EDIT_LISTS and not start
        self._lead = _lead(self._stream.codec_context, info) if self._can_cut else 0
        self._pts = self._begin - self._lead

    def __enter__(self) -> AvWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and not self._info.frames and self._next_other is None:
            raise ImseError(f"{self._path}: such a file cannot be empty; name one that ends in .wav")
        with self._explained(), interrupts_deferred(), self._resources:
            if kind is None:
                self._mux(
                    self._vorbis.packets(self._stream, self._begin) if self._vorbis else self._stream.encode(None)
                )
                self._copy_others(None)

    def write(self, block: Block) -> None:
        """See `Writer.write`."""
        if not len(block):
            return
        if self._vorbis:
            self._vorbis.write(block)
            return
        if self._lead:
            block = np.pad(block, [(self._lead, 0), (0, 0)])
            self._lead = 0
        sample_format = "dblp" if block.dtype == np.float64 else "fltp"
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block.T), sample_format, self._layout)
        frame.sample_rate = self._info.sample_rate
        frame.time_base = Fraction(1, self._info.sample_rate)
        frame.pts = self._pts
        self._pts += len(block)
        with self._explained(), interrupts_deferred():
            self._mux(self._stream.encode(frame))

    def _set_up(self, resources: ExitStack) -> Fraction:
        """Declare all tracks; the time of the first sample in seconds."""
        info = self._info
        # Edit lists count in units of this scale: at the sample rate, they cut to the sample.
        options = {"movie_timescale": str(info.sample_rate)} if info.format in _WITH_EDIT_LISTS else {}
        if info.format == "mov":
            options["movflags"] = "use_metadata_tags"  # any key, not only those of QuickTime
        if info.format in _WITH_RANDOM_NUMBERS:
            options["fflags"] = "bitexact"  # else tracks get random numbers: the same sound is the same file
        if info.extension in _M4A:
            options["brand"] = "M4A "  # FFmpeg's own muxer for it refuses covers
        self._output = resources.enter_context(av.open(self._sink, "w", format=info.format, options=options))
        self._layout = _LAYOUTS.get(info.channels, f"{info.channels}c")
        self._others: Iterator[Packet[Stream]] = iter(())
        is_vorbis = info.subtype == "vorbis"
        self._vorbis = resources.enter_context(VorbisTrack(info, self._path)) if is_vorbis else None
        start = Fraction(0)
        if info.source is None or not info.is_multimedia:
            self._stream = self._add_audio()
            self._add_tags({})
        else:
            source, stream = resources.enter_context(opened(info.source, str(info.source)))
            self._layout = stream.layout.name
            start = _start(info.source)
            self._others = _packets(source, self._add_tracks(source, stream))
        self._next_other = next(self._others, None)
        return start

    def _add_audio(self, sample_format: str | None = None) -> AudioStream:
        if self._vorbis:
            return self._vorbis.add_to(self._output)
        info = self._info
        encoder = _ENCODERS.get(info.subtype, info.subtype)
        stream = self._output.add_stream(encoder, info.sample_rate, layout=self._layout)
        assert isinstance(stream, AudioStream)
        if sample_format is not None and info.subtype in _LOSSLESS:
            stream.codec_context.format = sample_format
        wanted = math.ceil((info.bit_rate or _BIT_RATE_PER_CHANNEL * info.channels) * _MARGIN.get(info.subtype, 1))
        stream.codec_context.bit_rate = max(wanted, _LEAST_PER_CHANNEL.get(info.subtype, 0) * info.channels)
        return stream

    def _add_tracks(self, source: InputContainer, sound: AudioStream) -> dict[int, Stream]:
        """Declare the tracks of the input in its order; those to copy, by their index in the input."""
        self._add_tags(tags_of(source))
        self._output.set_chapters(source.chapters())
        copies: dict[int, Stream] = {}
        ours: Stream
        for track in source.streams:
            if track.index == sound.index:
                ours = self._stream = self._add_audio(sound.format.name)
            elif track.type == "attachment" and self._info.format == _WITH_ATTACHMENTS:
                assert isinstance(track, AttachmentStream)
                name = track.metadata.get("filename", "attachment")
                ours = self._output.add_attachment(name, track.mimetype or _UNKNOWN_KIND, track.data)
            elif track.type in _COPIED and self._can_hold(track):
                ours = copies[track.index] = self._output.add_stream_from_template(track)
            else:
                continue
            ours.metadata.update(track.metadata)
            ours.disposition = cast(Disposition, track.disposition.value)  # PyAV before 18 takes a number only
        return copies

    def _can_hold(self, track: Stream) -> bool:
        if is_picture(track):
            return self._info.format in _WITH_PICTURES
        return self._info.format != "adts"

    def _add_tags(self, known: Mapping[str, str]) -> None:
        """The tags and pictures of the input, where FFmpeg must write them; `known` is what it read of them itself."""
        if self._info.format not in _TAGGED_BY_FFMPEG:
            self._output.metadata.update(known)
            return
        from imse.audio.tags import read_tags
        from imse.audio.tags.ffmpeg import metadata

        tags = read_tags(self._info)
        self._output.metadata.update(metadata(tags, known))
        if self._info.format == _WITH_ATTACHMENTS:
            for picture in tags.pictures:
                kind = picture.mime.partition("/")[2].lower()
                named = picture.desc if picture.desc.lower().endswith((".png", ".jpg", ".jpeg")) else f"cover.{kind}"
                self._output.add_attachment(named, picture.mime, picture.data)

    def _mux(self, packets: Iterable[Packet[AudioStream]]) -> None:
        for packet in packets:
            assert packet.pts is not None
            if self._is_warm_up(packet):
                continue
            self._copy_others(packet.pts * packet.time_base)
            self._output.mux(packet)
        self._sink.raise_error()

    def _is_warm_up(self, packet: Packet[AudioStream]) -> bool:
        """Whether a packet lies before the first sample, where the container cannot say that it is not to be played.

        Edit lists cut nothing from sound that begins after the pictures, and a bare AAC stream has none.
        """
        if self._can_cut or self._info.format not in _WITH_EDIT_LISTS | {"adts"}:
            return False
        return (packet.pts or 0) + (packet.duration or 0) <= self._begin

    def _copy_others(self, until: Fraction | None) -> None:
        """Copy the other tracks' packets up to a time in seconds: so the file stays interleaved, and memory small."""
        while (packet := self._next_other) is not None:
            if until is not None and (packet.dts or 0) * packet.time_base > until:
                break
            self._output.mux(packet)
            self._next_other = next(self._others, None)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, ValueError) as error:  # PyAV finds some mistakes before FFmpeg does
            self._sink.raise_error()
            reason = str(getattr(error, "strerror", error)).lower()
            raise ImseError(f"{self._path}: cannot be written ({reason}); name one that ends in .wav") from error


def _packets(source: InputContainer, copies: Mapping[int, Stream]) -> Iterator[Packet[Stream]]:
    """What the tracks to copy hold, in the order of the file."""
    if not copies:
        return  # to demux no track would mean all of them
    for packet in source.demux([source.streams[index] for index in copies]):
        if packet.size:
            if packet.dts is None:  # a cover has no time
                packet.pts = packet.dts = 0
            packet.stream = copies[packet.stream_index]
            yield packet


def _start(path: Path) -> Fraction:
    """Time of the first sample in seconds: not 0 where the pictures begin earlier."""
    with opened(path, str(path)) as (container, stream):
        for frame in container.decode(stream):
            return (frame.pts or 0) * Fraction(frame.time_base or 0)
    return Fraction(0)


def _lead(codec: AudioCodecContext, info: AudioInfo) -> int:
    """Silent samples to begin with, so that an encoder of whole frames ends with the last sample.

    Decoders cut the beginning where an edit list says so, to the sample, but play the last frame to its end.
    """
    if info.subtype not in _LOSSY_FRAMES or not info.frames:
        return 0
    trial = av.CodecContext.create(codec.name, "w")
    assert isinstance(trial, AudioCodecContext)
    trial.sample_rate, trial.layout, trial.format = codec.sample_rate, codec.layout, codec.format
    trial.time_base = Fraction(1, codec.sample_rate)
    trial.open()
    if info.frames < trial.frame_size:
        return 0  # FFmpeg plays nothing at all of what an edit list leaves so short
    silence = AudioFrame.from_ndarray(np.zeros((info.channels, trial.frame_size), np.float32), "fltp", codec.layout)
    silence.sample_rate, silence.time_base, silence.pts = codec.sample_rate, trial.time_base, 0
    first = [*trial.encode(silence), *trial.encode(None)][0]
    return ((first.pts or 0) - info.frames) % trial.frame_size
