"""Tags: what other programs say of a recording is in the output, in every format that can hold it."""

from __future__ import annotations

import base64
import io
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from mutagen import File, id3
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC, CueSheet, CueSheetTrack, Picture
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
from mutagen.oggopus import OggOpus
from mutagen.wave import WAVE

from audio.material import read, rewrite, run, speechlike
from imse.audio import chunks
from imse.errors import ImseError

av = pytest.importorskip("av")

RATE = 16_000
TITLE = "Título 李"
COMMON = {"title": TITLE, "artist": "Zoë", "date": "1998-05-04", "genre": "Speech", "copyright": "CC0", "track": "3"}
BESIDE = {"album_artist": "Choir", "composer": "Bach", "disc": "2", "Custom Key": "mine", "comment": "noisy",
          "REPLAYGAIN_TRACK_GAIN": "-3.21 dB"}  # fmt: skip
TAGGED_BY_FFMPEG = {
    ".mp3": [], ".flac": [], ".ogg": ["-c:a", "libvorbis"], ".opus": [], ".caf": [], ".aiff": ["-write_id3v2", "1"],
    ".aac": ["-write_id3v2", "1"], ".m4a": [], ".mov": ["-movflags", "use_metadata_tags"], ".mkv": ["-c:a", "libopus"],
    ".webm": ["-c:a", "libopus"],
}  # fmt: skip
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "source.wav"
    soundfile.write(path, speechlike(RATE, RATE), RATE)
    return path


def tagged(wav: Path, extension: str, tags: dict[str, str], *options: str) -> Path:
    """A file with tags, made by ffmpeg."""
    path = wav.with_name(f"in{extension}")
    pairs = [part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")]
    run("ffmpeg", "-v", "error", "-y", "-i", wav, *pairs, *options, path)
    return path


def seen_by_ffmpeg(path: Path) -> dict[str, str]:
    """Tags in lower case, of the container, or of the stream (Ogg)."""
    with av.open(path) as container:
        found = {**container.streams.audio[0].metadata, **container.metadata}
    return {key.lower(): value for key, value in found.items()}


def rewritten(source: Path, extension: str) -> Path:
    target = source.with_name(f"out{extension}")
    rewrite(source, target)
    if source.suffix == extension:
        assert len(read(target)[1]) == len(read(source)[1])
    return target


@pytest.mark.parametrize("target", TAGGED_BY_FFMPEG)
@pytest.mark.parametrize("source", TAGGED_BY_FFMPEG)
def test_tags_of_any_format_are_kept_in_any_other(source: str, target: str, wav: Path) -> None:
    beside = {key: value for key, value in BESIDE.items() if source != ".m4a" or key[0].islower()}
    path = tagged(wav, source, COMMON | beside, *TAGGED_BY_FFMPEG[source])
    out = wav.with_name(f"out{target}")
    rewrite(path, out)
    expected = {key.lower(): value for key, value in (COMMON | beside).items()}
    found = {key.replace(" ", "_"): value for key, value in seen_by_ffmpeg(out).items()}
    assert {key: found.get(key.replace(" ", "_")) for key in expected} == expected


@pytest.mark.parametrize("target", [".wav", *TAGGED_BY_FFMPEG])
def test_tags_of_wav_are_kept(target: str, wav: Path) -> None:
    source = tagged(wav, ".wav", COMMON)
    assert seen_by_ffmpeg(rewritten(source, target)).items() >= COMMON.items()


@pytest.mark.parametrize("source", TAGGED_BY_FFMPEG)
def test_wav_gets_information_that_all_read_and_the_rest_as_id3(source: str, wav: Path) -> None:
    path = tagged(wav, source, COMMON | BESIDE, *TAGGED_BY_FFMPEG[source])
    out = wav.with_name("out.wav")
    rewrite(path, out)
    with soundfile.SoundFile(out) as file:
        information = file.copy_metadata()
    assert information.items() >= {"title": TITLE, "artist": "Zoë", "tracknumber": "3", "comment": "noisy"}.items()
    tags = WAVE(out).tags
    assert [str(tags[frame]) for frame in ("TIT2", "TPE2", "TCOM", "TPOS", "TDRC")] == [
        TITLE, "Choir", "Bach", "2", "1998-05-04",
    ]  # fmt: skip
    if source != ".m4a":  # FFmpeg writes only usual keys into it
        (custom,) = (frame for frame in tags.getall("TXXX") if frame.desc.lower().replace(" ", "_") == "custom_key")
        assert custom.text == ["mine"]


@pytest.mark.parametrize("version", [3, 4])
def test_mp3_keeps_every_frame_of_its_id3_and_the_version(version: int, wav: Path) -> None:
    mp3 = wav.with_name("in.mp3")
    run("lame", "--quiet", wav, mp3)
    frames: list[Any] = [
        id3.TIT2(encoding=1, text=[TITLE]),
        id3.TPE1(encoding=1, text=["Zoë", "李"]),
        id3.TSOP(encoding=0, text=["Zoe"]),
        id3.COMM(encoding=1, lang="fra", desc="", text=["bruité"]),
        id3.COMM(encoding=1, lang="eng", desc="place", text=["Rome"]),
        id3.TXXX(encoding=0, desc="replaygain_track_gain", text=["-3.21 dB"]),
        id3.USLT(encoding=1, lang="fra", desc="", text="un\ndeux"),
        id3.UFID(owner="http://example.org", data=b"id"),
        id3.PRIV(owner="me", data=bytes(range(256))),
        id3.WOAR(url="http://example.org"),
        id3.APIC(encoding=0, mime="image/png", type=3, desc="front", data=PNG),
        id3.APIC(encoding=0, mime="image/png", type=4, desc="back", data=PNG[::-1]),
        id3.TDRC(encoding=0, text=["1998-05-04"]) if version == 4 else id3.TYER(encoding=0, text=["1998"]),
    ]
    tags = id3.ID3()
    for frame in frames:
        tags.add(frame)
    tags.save(mp3, v1=0, v2_version=version, v23_sep=None)
    out = rewritten(mp3, ".mp3")
    before, after = (id3.ID3(path, translate=False) for path in (mp3, out))
    assert after.version == before.version == (2, version, 0)
    assert dict(after) == dict(before)
    assert len(after) == len(frames)


def test_tags_that_are_id3v1_alone_become_id3v2(wav: Path) -> None:
    mp3 = wav.with_name("in.mp3")
    run("lame", "--quiet", "--id3v1-only", "--tt", "Talk", "--ta", "Zoe", "--tn", "7", wav, mp3)
    tags = id3.ID3(rewritten(mp3, ".mp3"), load_v1=False)
    assert [str(tags[frame]) for frame in ("TIT2", "TPE1", "TRCK")] == ["Talk", "Zoe", "7"]


def test_mp3_keeps_ape(wav: Path) -> None:
    mp3 = wav.with_name("in.mp3")
    run("lame", "--quiet", "--tt", "Talk", "--ta", "Zoe", "--tn", "7", wav, mp3)
    ape = APEv2()
    ape["REPLAYGAIN_TRACK_GAIN"] = "-3.21 dB"
    ape["Artist"] = ["Zoe", "another"]
    ape["Composer"] = ["Bach", "Händel"]
    ape["MP3GAIN_UNDO"] = "+003,+003,N"
    ape.save(mp3)
    tags = id3.ID3(rewritten(mp3, ".mp3"))
    assert [str(tags[frame]) for frame in ("TIT2", "TPE1", "TRCK")] == ["Talk", "Zoe", "7"]
    assert tags["TXXX:REPLAYGAIN_TRACK_GAIN"].text == ["-3.21 dB"]
    assert tags["TCOM"].text == ["Bach", "Händel"]
    assert "TXXX:MP3GAIN_UNDO" not in tags


COMMENTS = [
    ("TITLE", TITLE), ("ARTIST", "one"), ("ARTIST", "two"), ("ALBUMARTIST", "Choir"), ("DESCRIPTION", "a talk"),
    ("COMMENT", "noisy"), ("DISCNUMBER", "2"), ("DISCTOTAL", "3"), ("COMPOSER", "Bach"), ("my key", "mine"),
    ("REPLAYGAIN_TRACK_GAIN", "-3.21 dB"), ("DATE", "around 1998"), ("TRACKNUMBER", "A1"),
]  # fmt: skip


def picture(data: bytes = PNG) -> Picture:
    result = Picture()
    result.data, result.mime, result.type, result.desc = data, "image/png", 3, "front"
    return result


@pytest.fixture
def flac(wav: Path) -> Path:
    path = wav.with_name("in.flac")
    run("ffmpeg", "-v", "error", "-i", wav, path)
    file = FLAC(path)
    file.delete()
    file.tags.extend(COMMENTS)
    file.add_picture(picture())
    sheet = CueSheet(None)
    track = CueSheetTrack(1, 0)
    sheet.tracks.append(track)
    file.metadata_blocks.append(sheet)
    file.cuesheet = sheet
    file.save()
    return path


def comments(path: Path) -> list[tuple[str, str]]:
    return [pair for pair in File(path).tags if pair[0].upper() not in {"ENCODER", "METADATA_BLOCK_PICTURE"}]


@pytest.mark.parametrize("extension", [".flac", ".ogg", ".opus"])
def test_vorbis_comments_are_kept_as_they_are(extension: str, flac: Path) -> None:
    out = rewritten(flac, extension)
    again = out.with_name(f"again{extension}")
    rewrite(out, again)
    back = out.with_name("back.flac")
    rewrite(again, back)
    for path in (out, again, back):
        assert comments(path) == COMMENTS
    assert FLAC(back).pictures == FLAC(flac).pictures
    if extension == ".flac":
        assert FLAC(again).cuesheet == FLAC(flac).cuesheet


@pytest.mark.parametrize("extension", [".mp3", ".wav", ".aiff", ".aac"])
def test_vorbis_comments_become_id3(extension: str, flac: Path) -> None:
    out = flac.with_name(f"out{extension}")
    rewrite(flac, out)
    tags = File(out).tags if extension in {".wav", ".aiff"} else id3.ID3(out)
    texts = {frame: tags[frame].text for frame in (
        "TIT2", "TPE1", "TPE2", "COMM::eng", "TPOS", "TCOM", "TRCK", "TXXX:my key", "TXXX:REPLAYGAIN_TRACK_GAIN",
        "TXXX:DATE", "TXXX:DESCRIPTION",
    )}  # fmt: skip
    assert texts == {
        "TIT2": [TITLE], "TPE1": ["one", "two"], "TPE2": ["Choir"], "COMM::eng": ["noisy"], "TPOS": ["2/3"],
        "TCOM": ["Bach"], "TRCK": ["A1"], "TXXX:my key": ["mine"], "TXXX:REPLAYGAIN_TRACK_GAIN": ["-3.21 dB"],
        "TXXX:DATE": ["around 1998"], "TXXX:DESCRIPTION": ["a talk"],
    }  # fmt: skip
    assert [(frame.data, frame.mime, frame.type) for frame in tags.getall("APIC")] == [(PNG, "image/png", 3)]


def test_vorbis_comments_become_atoms_of_m4a(flac: Path) -> None:
    out = flac.with_name("out.m4a")
    rewrite(flac, out)
    tags = MP4(out).tags
    free = "----:com.apple.iTunes:"
    assert {key: value for key, value in tags.items() if key != "©too"} == {
        "©nam": [TITLE], "©ART": ["one", "two"], "aART": ["Choir"], "desc": ["a talk"], "©cmt": ["noisy"],
        "disk": [(2, 3)], "©wrt": ["Bach"], "©day": ["around 1998"], "covr": [MP4Cover(PNG, MP4Cover.FORMAT_PNG)],
        f"{free}my key": [b"mine"], f"{free}REPLAYGAIN_TRACK_GAIN": [b"-3.21 dB"], f"{free}TRACKNUMBER": [b"A1"],
    }  # fmt: skip


def test_m4a_keeps_all_its_atoms(wav: Path) -> None:
    source = wav.with_name("in.m4a")
    run("ffmpeg", "-v", "error", "-i", wav, source)
    tags = MP4(source)
    tags.update({
        "©nam": [TITLE], "©ART": ["one", "two"], "trkn": [(3, 12)], "tmpo": [96], "cpil": True, "stik": [1],
        "covr": [MP4Cover(PNG, MP4Cover.FORMAT_PNG), MP4Cover(PNG[::-1], MP4Cover.FORMAT_PNG)],
        "----:com.apple.iTunes:Custom": [MP4FreeForm(b"mine"), MP4FreeForm("ünser".encode())],
        "----:org.example:binary": [MP4FreeForm(bytes(range(9)), 0)],
    })  # fmt: skip
    tags.save()
    assert dict(MP4(rewritten(source, ".m4a")).tags) == dict(MP4(source).tags)
    flac = rewritten(source, ".flac")
    assert set(comments(flac)) == {
        ("TITLE", TITLE), ("ARTIST", "one"), ("ARTIST", "two"), ("TRACKNUMBER", "3"), ("TRACKTOTAL", "12"),
        ("BPM", "96"), ("COMPILATION", "1"), ("Custom", "mine"), ("Custom", "ünser"),
    }  # fmt: skip
    assert [bytes(cover.data) for cover in FLAC(flac).pictures] == [PNG, PNG[::-1]]


@pytest.mark.parametrize(("extension", "container"), [(".wav", "WAV"), (".wav", "RF64"), (".wav", "WAVEX")])
@pytest.mark.parametrize("frames", [1000, 1001])
def test_wav_keeps_chunks_of_other_programs(extension: str, container: str, frames: int, tmp_path: Path) -> None:
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    soundfile.write(source, speechlike(frames, RATE), RATE, "PCM_U8", format=container)
    extra = [(b"bext", b"x" * 603), (b"iXML", b"<BWFXML/>"), (b"cue ", struct.pack("<7I", 1, 1, 0, 0, 0, 0, 5))]
    with source.open("r+b") as file:
        for name, data in extra:
            chunks.append(file, chunks.RIFF, name, io.BytesIO(data), len(data))
    rewrite(source, target)
    with target.open("rb") as file:
        found = [(chunk.name, chunks.content(file, chunk)) for chunk in chunks.chunks(file, chunks.RIFF)]
    assert found == extra
    np.testing.assert_array_equal(soundfile.read(target)[0], soundfile.read(source)[0])
    assert soundfile.info(target).format == container
    if container != "RF64":
        assert struct.unpack("<I", target.read_bytes()[4:8])[0] == target.stat().st_size - 8


@pytest.mark.parametrize("extension", [".aiff", ".caf"])
def test_texts_of_libsndfile_are_kept(extension: str, tmp_path: Path) -> None:
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    with soundfile.SoundFile(source, "w", RATE, 1) as file:
        file.title, file.artist, file.comment, file.copyright = TITLE, "Zoë", "noisy", "CC0"
        if extension == ".caf":
            file.tracknumber = "3"
        file.write(speechlike(1001, RATE))
    rewrite(source, target)
    with soundfile.SoundFile(source) as before, soundfile.SoundFile(target) as after:
        assert after.copy_metadata() == before.copy_metadata()


def test_a_key_that_vorbis_comments_do_not_allow_is_kept_under_the_nearest(wav: Path) -> None:
    mp3 = wav.with_name("in.mp3")
    run("lame", "--quiet", wav, mp3)
    tags = id3.ID3()
    tags.add(id3.TXXX(encoding=3, desc="Größe=x", text=["5"]))
    tags.save(mp3)
    assert comments(rewritten(mp3, ".flac")) == [("Gr__e_x", "5")]


@pytest.mark.parametrize("extension", [".mp3", ".m4a", ".mkv", ".caf"])
def test_keys_in_any_language(extension: str, wav: Path) -> None:
    source = tagged(wav, ".mkv", {"題": "談話"}, "-c:a", "flac")
    assert seen_by_ffmpeg(rewritten(rewritten(source, extension), ".mka"))["題"] == "談話"


def test_a_large_cover_does_not_raise_the_bit_rate(wav: Path) -> None:
    source = wav.with_name("in.opus")
    run("ffmpeg", "-v", "error", "-i", wav, "-b:a", "48k", source)
    before = read(source)[0].bit_rate
    tags = OggOpus(source)
    tags["METADATA_BLOCK_PICTURE"] = base64.b64encode(picture(PNG + bytes(300_000)).write()).decode()
    tags.save()
    assert read(source)[0].bit_rate == before
    out = rewritten(source, ".opus")
    assert OggOpus(out)["METADATA_BLOCK_PICTURE"] == OggOpus(source)["METADATA_BLOCK_PICTURE"]


@pytest.mark.parametrize("extension", [".mp3", ".flac", ".ogg", ".opus", ".wav", ".m4a"])
def test_tags_that_are_damaged_do_not_stop_the_sound(extension: str, wav: Path) -> None:
    source = tagged(wav, extension, COMMON)
    content = source.read_bytes()
    at = content.index("Título".encode()) if "Título".encode() in content else content.index("Zo".encode("utf-16-le"))
    for change in (at - 12, at - 5, at - 4, at - 3, at - 2, at - 1):
        damaged = source.with_name(f"damaged{extension}")
        damaged.write_bytes(content[:change] + b"\xff" + content[change + 1 :])
        try:
            with_sound = len(read(damaged)[1])
        except ImseError:
            continue  # the sound cannot be read either
        out = rewritten(damaged, extension)
        assert len(read(out)[1]) == with_sound


def test_a_disk_that_fills_up_is_an_error_and_leaves_no_file(flac: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FLAC, "save", full)
    with pytest.raises(OSError, match="No space left"):
        rewrite(flac, flac.with_name("out.flac"))
    assert not flac.with_name("out.flac").exists()
    assert not list(flac.parent.glob(".*"))


def test_mutagen_is_imported_only_when_a_file_is_written(wav: Path) -> None:
    script = (
        "import sys, imse.audio\nfrom pathlib import Path\nfrom audio.material import read\n"
        f"read(Path({str(wav)!r}))\nassert 'mutagen' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
