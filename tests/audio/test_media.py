"""Files that only FFmpeg reads: m4a, and videos, whose pictures are not changed."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC
from mutagen.mp4 import MP4

from audio.material import lag, open_writer_like, read, rewrite, run, speechlike
from imse.audio import AudioInfo, open_reader
from imse.errors import ImseError, describe

av = pytest.importorskip("av")
opened = pytest.importorskip("imse.audio.av_reader").opened

MATROSKA_IS_EXACT = int(av.__version__.split(".")[0]) >= 18
"""FFmpeg 8.0, of PyAV 17, plays what Matroska says is the delay of the encoder of AAC and MP3."""

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def make(
    path: Path,
    codec: str,
    sample_rate: int,
    frames: int,
    *,
    channels: int = 2,
    pictures: bool = False,
    delay: Fraction = Fraction(0),
    bit_rate: int = 96_000,
    sample_format: str = "fltp",
) -> None:
    """A media file as other programs make it, the sound beginning `delay` seconds after the pictures."""
    with av.open(path, "w", format={".m4a": "ipod", ".aac": "adts", ".mkv": "matroska"}.get(path.suffix)) as output:
        output.metadata["title"] = "Interview"
        video = _add_video(output, path.suffix) if pictures else None
        stream = output.add_stream(codec, sample_rate, layout=LAYOUTS[channels])
        stream.metadata["language"] = "fra"
        stream.bit_rate = bit_rate
        if sample_format != "fltp":
            stream.format = sample_format
        if video:
            _add_pictures(output, video, frames / sample_rate)
        samples = np.ascontiguousarray(speechlike(frames, sample_rate, channels).T)
        for start in range(0, frames, 1000):
            block = np.ascontiguousarray(samples[:, start : start + 1000])
            frame = av.AudioFrame.from_ndarray(block, "dblp", LAYOUTS[channels])
            frame.sample_rate, frame.time_base = sample_rate, Fraction(1, sample_rate)
            frame.pts = start + round(delay * sample_rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _add_video(output: Any, extension: str) -> Any:
    codec = "libvpx" if extension == ".webm" else "mpeg4"
    return output.add_stream(codec, 25, width=64, height=48, pix_fmt="yuv420p")


def _add_pictures(output: Any, stream: Any, seconds: float) -> None:
    for number in range(int(seconds * 25) + 1):
        picture = np.full((48, 64, 3), number * 7 % 255, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def pictures_of(path: Path) -> list[tuple[Fraction, bytes]]:
    """Time in seconds and content of every packet of the pictures."""
    with av.open(path) as container:
        packets = container.demux(container.streams.video[0])
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in packets if packet.size]


def raw_frames(path: Path) -> int:
    """The length that PyAV decodes, without our reader."""
    with av.open(path) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


LOSSY = [
    (".m4a", "aac", 44_100),
    (".mp4", "aac", 48_000),
    (".mov", "aac", 16_000),
    (".aac", "aac", 44_100),
    (".mp4", "libopus", 48_000),
    (".mp4", "ac3", 48_000),
    (".mkv", "libopus", 48_000),
    (".mkv", "libmp3lame", 44_100),
    (".webm", "libopus", 48_000),
]


@pytest.mark.parametrize(("extension", "codec", "sample_rate"), LOSSY)
@pytest.mark.parametrize("frames", [50_000, 50_176])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_sound_keeps_codec_length_and_alignment(
    extension: str, codec: str, sample_rate: int, frames: int, channels: int, tmp_path: Path
) -> None:
    if (extension, codec) == (".mkv", "libmp3lame") and not MATROSKA_IS_EXACT:
        pytest.skip("needs PyAV 18")
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    make(source, codec, sample_rate, frames, channels=channels)
    rewrite(source, target)
    before, first = read(source)
    after, second = read(target)
    assert (after.subtype, after.sample_rate, after.channels) == (before.subtype, sample_rate, channels)
    assert raw_frames(target) == raw_frames(source) == len(first) == len(second) == before.frames == after.frames
    assert lag(second[:, 0], first[:, 0]) == 0
    assert before.bit_rate is not None
    assert after.bit_rate is not None
    assert after.bit_rate >= 0.97 * before.bit_rate
    if extension != ".aac":
        with av.open(target) as container:
            assert container.metadata["title"] == "Interview"


@pytest.mark.parametrize("extension", [".mkv", ".mka", ".webm"])
@pytest.mark.parametrize(("channels", "delay"), [(1, 0), (2, 0), (6, 0), (2, 1)])
def test_vorbis_stays_vorbis(extension: str, channels: int, delay: int, tmp_path: Path) -> None:
    """PyAV cannot encode it, so ffmpeg makes the input; with pictures that begin before the sound."""
    sound, source, target = tmp_path / "in.wav", tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    soundfile.write(sound, speechlike(50_001, 44_100, channels), 44_100)
    pictures = ["-f", "lavfi", "-i", "color=red:s=32x32:d=2", "-c:v", "libvpx"] if extension != ".mka" else []
    late = ["-itsoffset", str(delay), "-i", str(sound), "-c:a", "libvorbis", "-q:a", "5"]
    run("ffmpeg", "-v", "error", *pictures[:4], *late[:4], *pictures[4:], *late[4:], source)
    rewrite(source, target)
    before, first = read(source)
    after, second = read(target)
    assert (after.subtype, after.sample_rate, after.channels) == ("vorbis", 44_100, channels)
    assert abs(start_of(target) - start_of(source)) <= Fraction(1, 1000)
    assert len(second) == len(first)
    assert lag(second[:, 0], first[:, 0]) == 0
    assert after.bit_rate is not None
    assert before.bit_rate is not None
    assert after.bit_rate >= 0.85 * before.bit_rate  # on average: what it is depends on the sound
    if pictures:
        assert pictures_of(target) == pictures_of(source)


@pytest.mark.parametrize("extension", [".mkv", ".mka"])
def test_attachments_of_matroska_are_copied(extension: str, tmp_path: Path) -> None:
    sound, source, target = tmp_path / "in.wav", tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    soundfile.write(sound, speechlike(50_000, 48_000), 48_000)
    files = {"cover.png": "image/png", "small cover.jpg": "image/jpeg", "font.ttf": "application/x-truetype-font"}
    attached = []
    for number, (name, kind) in enumerate(files.items()):
        attached += ["-attach", str(tmp_path / name), f"-metadata:s:t:{number}", f"mimetype={kind}"]
        if kind.startswith("image"):
            run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", tmp_path / name)
        else:
            (tmp_path / name).write_bytes(bytes(range(256)))
    run("ffmpeg", "-v", "error", "-i", sound, "-c:a", "libopus", *attached, source)
    rewrite(source, target)
    assert attachments_of(target) == attachments_of(source)
    assert set(attachments_of(target)) == set(files.items())


@pytest.mark.parametrize("extension", [".webm", ".mp4", ".m4a", ".mov", ".flac"])
def test_attachments_that_a_container_cannot_hold_do_not_matter(extension: str, tmp_path: Path) -> None:
    sound, source, target = tmp_path / "in.wav", tmp_path / "in.mkv", tmp_path / f"out{extension}"
    cover, font = tmp_path / "cover.png", tmp_path / "font.ttf"
    soundfile.write(sound, speechlike(50_000, 48_000), 48_000)
    run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", cover)
    font.write_bytes(bytes(256))
    attached = ["-attach", str(cover), "-metadata:s:t:0", "mimetype=image/png"]
    attached += ["-attach", str(font), "-metadata:s:t:1", "mimetype=application/x-truetype-font"]
    run("ffmpeg", "-v", "error", "-i", sound, "-c:a", "libopus", *attached, source)
    rewrite(source, target)
    assert len(read(target)[1]) >= 50_000
    if extension == ".flac":
        assert [picture.data for picture in FLAC(target).pictures] == [cover.read_bytes()]
    elif extension in {".mp4", ".m4a"}:
        assert MP4(target)["covr"] == [cover.read_bytes()]


def attachments_of(path: Path) -> dict[tuple[str, str], bytes]:
    """Content of each attachment by its name and MIME type; FFmpeg shows pictures as tracks."""
    with av.open(path) as container:
        found = {(s.metadata["filename"], s.mimetype): s.data for s in container.streams.attachments}
        for stream in container.streams.video:
            packet = next(packet for packet in container.demux(stream) if packet.size)
            found[stream.metadata["filename"], stream.metadata["mimetype"]] = bytes(packet)
    return found


@pytest.mark.parametrize("frames", [1_024, 2_000, 50_000, 50_001, 51_199])
def test_edit_lists_cut_to_the_sample(frames: int, tmp_path: Path) -> None:
    """The length of the input is not a multiple of the encoder's frames, as in recordings by phones."""
    source, target, again = tmp_path / "in.wav", tmp_path / "out.m4a", tmp_path / "again.m4a"
    soundfile.write(source, speechlike(frames, 44_100), 44_100)
    rewrite(source, target)
    rewrite(target, again)
    assert raw_frames(target) == raw_frames(again) == frames
    assert lag(read(again)[1][:, 0], read(source)[1][:, 0]) == 0


@pytest.mark.parametrize(
    ("extension", "codec", "sample_format"),
    [
        (".m4a", "alac", "s16p"),
        (".m4a", "alac", "s32p"),
        (".mkv", "flac", "s16"),
        (".mkv", "flac", "s32"),
        (".mov", "pcm_s16le", "s16"),
        (".mov", "pcm_s24le", "s32"),
        (".mkv", "pcm_f32le", "flt"),
    ],
)
def test_lossless_sound_comes_out_bit_for_bit(extension: str, codec: str, sample_format: str, tmp_path: Path) -> None:
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    make(source, codec, 44_100, 50_001, sample_format=sample_format)
    rewrite(source, target)
    before, first = read(source)
    after, second = read(target)
    assert (after.subtype, after.frames) == (before.subtype, 50_001) == (codec, 50_001)
    with av.open(source) as container, av.open(target) as copy:
        assert copy.streams.audio[0].format.name == container.streams.audio[0].format.name
    np.testing.assert_array_equal(second, first)


@pytest.mark.parametrize(
    ("extension", "codec", "sample_rate"),
    [(".mp4", "aac", 48_000), (".mov", "aac", 44_100), (".mkv", "aac", 44_100), (".webm", "libopus", 48_000)],
)
@pytest.mark.parametrize("delay", [Fraction(0), Fraction(1, 2)])
def test_pictures_are_copied_and_stay_in_time(
    extension: str, codec: str, sample_rate: int, delay: Fraction, tmp_path: Path
) -> None:
    if extension == ".mkv" and not MATROSKA_IS_EXACT:
        pytest.skip("needs PyAV 18")
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    make(source, codec, sample_rate, 100_352, pictures=True, delay=delay)
    rewrite(source, target)
    assert pictures_of(target) == pictures_of(source)
    assert abs(start_of(target) - start_of(source)) <= Fraction(1, 1000)
    assert raw_frames(target) == raw_frames(source)
    assert lag(read(target)[1][:, 0], read(source)[1][:, 0]) == 0
    with av.open(target) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert container.streams.audio[0].metadata["language"] == "fra"
        assert container.metadata["title"] == "Interview"


def start_of(path: Path) -> Fraction:
    with av.open(path) as container:
        frame = next(container.decode(audio=0))
        return Fraction(frame.pts * frame.time_base)


def test_pictures_and_sound_are_interleaved(tmp_path: Path) -> None:
    """A player must not read the whole file to have a second of both."""
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make(source, "aac", 44_100, 10 * 44_100, pictures=True)
    rewrite(source, target)
    with av.open(target) as container:
        times: dict[str, float] = {"audio": 0.0, "video": 0.0}
        for packet in container.demux():
            if packet.dts is not None:
                times[packet.stream.type] = float(packet.dts * packet.time_base)
                assert abs(times["audio"] - times["video"]) < 1


def test_the_sound_of_a_video_can_be_written_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.wav"
    make(source, "aac", 48_000, 50_176, pictures=True)
    rewrite(source, target)
    info, samples = read(target)
    assert (info.format, info.subtype, info.sample_rate) == ("WAV", "PCM_16", 48_000)
    assert soundfile.SoundFile(target).title == "Interview"
    np.testing.assert_allclose(samples, read(source)[1], atol=2**-15)


def test_pictures_that_a_container_cannot_hold_are_an_error(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.webm"
    make(source, "libopus", 48_000, 50_000, pictures=True)
    with pytest.raises(ImseError, match=r"out\.webm: cannot be written .*; name one that ends in \.wav"):
        rewrite(source, target)
    assert list(tmp_path.iterdir()) == [source]


def test_a_video_without_sound_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    with av.open(source, "w") as output:
        _add_pictures(output, _add_video(output, ".mp4"), 1)
    with pytest.raises(ImseError, match=r"in\.mp4: no sound that can be read"), open_reader(source):
        pass


@pytest.mark.parametrize("tag", [0, 0x1234, 0xBEEF, 0x2001])
@pytest.mark.parametrize(
    ("name", "message"), [("in.wav", "not audio that can be read"), ("in.wma", "unsupported encoding of the sound")]
)
def test_an_encoding_that_nobody_knows_is_an_error(name: str, message: str, tag: int, tmp_path: Path) -> None:
    source = tmp_path / name
    soundfile.write(source, speechlike(1_000, 16_000), 16_000, format="WAV")
    content = bytearray(source.read_bytes())
    content[20:22] = tag.to_bytes(2, "little")
    source.write_bytes(content)
    with pytest.raises(ImseError) as caught, open_reader(source):
        pass
    assert describe(caught.value).startswith(f"{source}: {message}")


@pytest.mark.parametrize(("sample_rate", "channels"), [(44_100, 2), (48_000, 1)])
def test_sound_that_changes_its_format_midway_is_an_error(sample_rate: int, channels: int, tmp_path: Path) -> None:
    source, other = tmp_path / "in.aac", tmp_path / "other.aac"
    make(source, "aac", 44_100, 30_000, channels=1)
    make(other, "aac", sample_rate, 30_000, channels=channels)
    source.write_bytes(source.read_bytes() + other.read_bytes())
    with pytest.raises(ImseError, match=r"in\.aac: sample rate or channels change"):
        read(source)


def test_a_name_with_a_colon_is_not_taken_for_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = Path("10:30.m4a"), Path("11:00.m4a")
    monkeypatch.chdir(tmp_path)
    make(tmp_path / source, "aac", 16_000, 16_000)
    rewrite(source, target)
    assert read(target)[0].frames == read(source)[0].frames


@pytest.mark.parametrize(
    "script",
    [
        "ffconcat version 1.0\nfile other.m4a\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.m4a\n#EXT-X-ENDLIST\n",
    ],
    ids=["ffconcat", "hls"],
)
@pytest.mark.parametrize("name", ["script.m4a", "script.mp3", "script.m3u8"])
def test_a_script_opens_no_other_file(script: str, name: str, tmp_path: Path) -> None:
    make(tmp_path / "other.m4a", "aac", 16_000, 16_000)
    (tmp_path / name).write_text(script)
    with pytest.raises(ImseError, match="not audio that can be read"), open_reader(tmp_path / name):
        pass


def test_a_disk_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.mkv"
    make(source, "aac", 44_100, 30_000)

    def demux(_stream: object) -> None:
        raise av.FFmpegError(errno.EIO, "Input/output error")

    @contextmanager
    def failing(path: Path, name: str) -> Iterator[Any]:
        with opened(path, name) as (container, stream):
            yield SimpleNamespace(demux=demux, format=container.format, metadata=container.metadata), stream

    monkeypatch.setattr("imse.audio.av_reader.opened", failing)
    with pytest.raises(ImseError, match=r"in\.mkv: cannot be read \(input/output error\)"):
        read(source)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_sound_files_become_m4a(channels: int, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.m4a"
    soundfile.write(source, speechlike(30_000, 48_000, channels), 48_000)
    rewrite(source, target)
    info, samples = read(target)
    assert (info.subtype, info.channels, samples.shape) == ("aac", channels, (30_000, channels))


@pytest.mark.parametrize("frames", [1, 1_000])
def test_what_is_shorter_than_a_frame_of_the_encoder_is_padded(frames: int, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.m4a"
    soundfile.write(source, speechlike(frames, 44_100), 44_100)
    rewrite(source, target)
    assert raw_frames(target) == 1024


@pytest.mark.parametrize("extension", [".m4a", ".mkv", ".mp4", ".aac"])
def test_no_samples_are_an_error(extension: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / f"out{extension}"
    soundfile.write(source, np.empty((0, 2)), 16_000)
    with pytest.raises(ImseError, match=r"cannot be empty; name one that ends in \.wav"):
        rewrite(source, target)
    assert list(tmp_path.iterdir()) == [source]


def test_cover_chapters_and_other_tracks_are_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "in.m4a", tmp_path / "out.m4a"
    cover = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), "rgb24").reformat(format="yuvj420p")
    chapters = [
        {"id": 0, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}},
        {"id": 1, "start": 500, "end": 1000, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}},
    ]
    with av.open(source, "w", format="mp4") as output:
        output.set_chapters(chapters)
        sounds = [output.add_stream("aac", 44_100, layout="mono") for _ in range(2)]
        picture = output.add_stream("mjpeg", 1, width=64, height=64, pix_fmt="yuvj420p")
        picture.disposition = av.stream.Disposition.attached_pic.value
        cover.pts = 0
        output.mux([*picture.encode(cover), *picture.encode(None)])
        for sound in sounds:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(speechlike(44_032, 44_100).T), "dblp", "mono")
            frame.sample_rate, frame.time_base, frame.pts = 44_100, Fraction(1, 44_100), 0
            output.mux([*sound.encode(frame), *sound.encode(None)])
    rewrite(source, target)
    with av.open(source) as before, av.open(target) as after:
        assert [stream.type for stream in after.streams] == [stream.type for stream in before.streams]
        assert [bytes(packet) for packet in after.demux(video=0)] == [bytes(packet) for packet in before.demux(video=0)]
        assert after.streams.video[0].disposition == av.stream.Disposition.attached_pic
        assert [chapter["metadata"]["title"] for chapter in after.chapters()] == ["one", "two"]
        assert after.metadata["major_brand"] == "M4A "
    with av.open(source) as before, av.open(target) as after:
        assert [bytes(packet) for packet in after.demux(audio=1)] == [bytes(packet) for packet in before.demux(audio=1)]


def test_damage_is_noted(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make(source, "aac", 44_100, 100_000)
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(range(250)) * 8
    source.write_bytes(content)
    with open_reader(source) as reader:
        samples = np.concatenate(list(reader.blocks(5000)))
        assert np.isfinite(samples).all()
        assert "damaged or cut short" in str(reader.damage)


def test_seeks_to_impossible_places_are_no_exceptions(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """FFmpeg asks for them in damaged files, and PyAV prints what is raised."""
    from imse.audio.av_reader import AvReader

    path = tmp_path / "a.caf"
    soundfile.write(path, speechlike(3_000, 16_000), 16_000, "ALAC_16")
    intact = path.read_bytes()
    size = intact.index(b"pakt") + 4
    path.write_bytes(intact[:size] + (2**63 - 2**8).to_bytes(8, "big") + intact[size + 8 :])
    with suppress(ImseError):
        list(AvReader(path, "a.caf").blocks(1_000))
    assert capfd.readouterr().err == ""


def test_every_pass_reads_the_same(tmp_path: Path) -> None:
    source = tmp_path / "in.m4a"
    make(source, "aac", 44_100, 30_000)
    with open_reader(source) as reader:
        first, second = (np.concatenate(list(reader.blocks(size))) for size in (777, 4096))
    np.testing.assert_array_equal(first, second)


def test_silence_is_written(tmp_path: Path) -> None:
    target = tmp_path / "out.m4a"
    with open_writer_like(target, AudioInfo(44_100, 1, 5000, "WAV", "PCM_16", ".wav")) as writer:
        writer.write(np.zeros((5000, 1), np.float32))
    assert not read(target)[1].any()
