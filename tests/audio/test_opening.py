"""Finding, opening and naming files; standard input and output; errors of one line."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.material import not_root, open_writer_like, read, rewrite, speechlike
from imse.audio import STDIO, AudioInfo, Block, find_audio, is_audio, open_reader, output_format_for
from imse.errors import ImseError, describe

WAV = AudioInfo(44_100, 2, 1000, "WAV", "PCM_24", ".wav")


@pytest.mark.parametrize("name", ["a.wav", "b.FLAC", "c.d.opus", "talk.mp4", "x.M4A"])
def test_audio_is_known_by_its_extension(name: str) -> None:
    assert is_audio(Path(name))


@pytest.mark.parametrize("name", ["a.txt", "wav", "a.wav.bak", "", "-"])
def test_other_files_are_not_audio(name: str) -> None:
    assert not is_audio(Path(name))


def test_audio_is_found_in_folders_and_in_order(tmp_path: Path) -> None:
    files = ["b.wav", "a/z.flac", "a/B.MP3", "c/d/e.ogg"]
    others = ["a/notes.txt", ".hidden.wav", ".git/f.wav", "a/.x.wav.imse-partial", "c/cover.jpg"]
    for name in files + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    assert find_audio(tmp_path) == sorted(tmp_path / name for name in files)


def test_a_hidden_folder_can_be_searched_by_name(tmp_path: Path) -> None:
    folder = tmp_path / ".cache"
    folder.mkdir()
    (folder / "a.wav").touch()
    assert find_audio(folder) == [folder / "a.wav"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (folder / "a").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "b.wav").touch()
    (folder / "there").symlink_to(elsewhere)
    (folder / "a" / "up").symlink_to(folder)
    (folder / "gone.wav").symlink_to("nowhere.wav")
    assert find_audio(folder) == [folder / "gone.wav", folder / "there" / "b.wav"]


def test_folders_linked_to_each_other_are_listed_through_one_link_each(tmp_path: Path) -> None:
    """Their paths without circles are ten million."""
    folders = [tmp_path / str(number) for number in range(10)]
    for folder in folders:
        folder.mkdir()
        (folder / "a.wav").touch()
        for other in folders:
            if other != folder:
                (folder / f"to{other.name}").symlink_to(other)
    direct = [folder / "a.wav" for folder in folders]
    linked = [folder / f"to{other.name}" / "a.wav" for folder in folders for other in folders if other != folder]
    assert find_audio(tmp_path) == sorted(direct + linked)


def test_a_link_below_a_link_is_followed_to_what_is_new(tmp_path: Path) -> None:
    folder, shelf, archive = (tmp_path / name for name in ("folder", "shelf", "archive"))
    for path in (folder, shelf, archive):
        path.mkdir()
    (archive / "a.wav").touch()
    (shelf / "old").symlink_to(archive)
    (folder / "shelf").symlink_to(shelf)
    assert find_audio(folder) == [folder / "shelf" / "old" / "a.wav"]


def test_a_folder_that_cannot_be_read_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as name:
        closed = Path(name, "closed")
        closed.mkdir(0o000)
        Path(name).chmod(0o755)
        with pytest.raises(PermissionError) as caught, not_root():
            find_audio(Path(name))
        assert describe(caught.value) == f"{closed}: permission denied"


def truncated_header(path: Path) -> None:
    soundfile.write(path, speechlike(100, 16_000), 16_000)
    path.write_bytes(path.read_bytes()[:22])


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("none.wav", lambda path: None, "no such file or directory"),
        ("folder.wav", lambda path: path.mkdir(), "is a directory"),
        ("pipe.wav", os.mkfifo, "a pipe or a device; use - to read standard input"),
        ("empty.wav", lambda path: path.touch(), "an empty file"),
        ("text.wav", lambda path: path.write_text("hello\n" * 1000), "not audio that can be read"),
        ("text.mp3", lambda path: path.write_text("hello\n" * 1000), "not audio that can be read"),
        ("text.m4a", lambda path: path.write_text("hello\n" * 1000), "not audio that can be read"),
        ("text.raw", lambda path: path.write_text("hello\n" * 1000), "raw samples without a header"),
        ("noise.flac", lambda path: path.write_bytes(os.urandom(5000)), "not audio that can be read"),
        ("header.wav", truncated_header, "not audio that can be read"),
    ],
)
def test_what_cannot_be_read_is_an_error_of_one_line(
    name: str, make: Callable[[Path], object], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises((ImseError, OSError)) as caught, open_reader(path):
        pass
    assert describe(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in describe(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_playlist_does_not_reach_the_network(tmp_path: Path) -> None:
    path = tmp_path / "list.mp3"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(ImseError, match="not audio that can be read"), open_reader(path):
        pass


@pytest.mark.parametrize(
    ("output", "info", "container", "subtype"),
    [
        ("a.wav", WAV, "WAV", "PCM_24"),
        ("a.wav", replace(WAV, format="WAVEX"), "WAVEX", "PCM_24"),
        ("a.wav", replace(WAV, format="RF64"), "RF64", "PCM_24"),
        ("a.wav", replace(WAV, format="NIST", subtype="PCM_16"), "NIST", "PCM_16"),
        ("a.wav", replace(WAV, frames=2**30), "RF64", "PCM_24"),
        ("a.w64", replace(WAV, frames=2**30), "W64", "PCM_24"),
        ("a.WAV", WAV, "WAV", "PCM_24"),
        ("a.flac", WAV, "FLAC", "PCM_24"),
        ("a.flac", replace(WAV, subtype="PCM_32"), "FLAC", "PCM_24"),
        ("a.flac", replace(WAV, subtype="FLOAT"), "FLAC", "PCM_24"),
        ("a.flac", replace(WAV, subtype="ULAW"), "FLAC", "PCM_16"),
        ("a.flac", replace(WAV, subtype="PCM_U8"), "FLAC", "PCM_S8"),
        ("a.wav", replace(WAV, format="FLAC", subtype="PCM_S8", extension=".flac"), "WAV", "PCM_U8"),
        ("a.wav", replace(WAV, format="FLAC", extension=".flac"), "WAV", "PCM_24"),
        ("a.wav", replace(WAV, format="FLAC", extension=".flac", channels=6), "WAVEX", "PCM_24"),
        ("a.wav", replace(WAV, format="MP3", subtype="MPEG_LAYER_III", extension=".mp3"), "WAV", "PCM_16"),
        ("a.wav", replace(WAV, format="mov,mp4", subtype="aac", extension=".mp4"), "WAV", "PCM_16"),
        ("a.wav", replace(WAV, subtype="IMA_ADPCM"), "WAV", "PCM_16"),
        ("a.aiff", replace(WAV, subtype="FLOAT"), "AIFF", "FLOAT"),
        ("a.aiff", replace(WAV, subtype="PCM_U8"), "AIFF", "PCM_S8"),
        ("a.caf", replace(WAV, format="CAF", subtype="ALAC_16", extension=".caf"), "CAF", "ALAC_16"),
        ("a.caf", replace(WAV, format="CAF", subtype="ALAC_20", extension=".caf"), "CAF", "PCM_24"),
        ("a.caf", replace(WAV, format="CAF", subtype="ALAC_24", extension=".caf"), "CAF", "PCM_24"),
        ("a.caf", replace(WAV, format="CAF", subtype="ALAC_32", extension=".caf"), "CAF", "PCM_32"),
        ("a.ogg", WAV, "OGG", "VORBIS"),
        ("a.ogg", replace(WAV, format="OGG", subtype="OPUS", extension=".opus", sample_rate=48_000), "OGG", "OPUS"),
        ("a.opus", replace(WAV, sample_rate=48_000), "OGG", "OPUS"),
        ("a.mp3", WAV, "MP3", "MPEG_LAYER_III"),
        ("a.m4a", WAV, "mp4", "aac"),
        ("a.mkv", replace(WAV, format="matroska,webm", subtype="flac", extension=".mkv"), "matroska", "flac"),
        ("a.webm", replace(WAV, sample_rate=48_000), "webm", "opus"),
        ("-", replace(WAV, format="FLAC", extension=""), "WAV", "PCM_24"),
        ("-", replace(WAV, format="WAVEX", extension=""), "WAVEX", "PCM_24"),
    ],
)
def test_outputs_are_as_near_the_input_as_they_can_be(
    output: str, info: AudioInfo, container: str, subtype: str
) -> None:
    target = output_format_for(Path(output), info)
    assert (target.format, target.subtype) == (container, subtype)
    assert (target.sample_rate, target.channels) == (info.sample_rate, info.channels)


@pytest.mark.parametrize(
    ("output", "info", "message"),
    [
        ("a.txt", WAV, "a.txt: cannot write .txt files; name one that ends in .wav"),
        ("a", WAV, "a: no extension; name one that ends in .wav"),
        ("a.wma", WAV, "a.wma: cannot write .wma files; name one that ends in .wav"),
        ("a.opus", WAV, "a.opus: OPUS cannot hold 2 channels at 44100 Hz; name one that ends in .wav"),
        ("a.webm", WAV, "a.webm: OPUS cannot hold 2 channels at 44100 Hz; name one that ends in .wav"),
        ("a.mp3", replace(WAV, sample_rate=96_000), "a.mp3: MP3 cannot hold 2 channels at 96000 Hz"),
        ("a.mp3", replace(WAV, channels=6), "a.mp3: MP3 cannot hold 6 channels at 44100 Hz"),
        ("a.flac", replace(WAV, channels=9), "a.flac: FLAC cannot hold 9 channels"),
        ("a.flac", replace(WAV, sample_rate=65_537), "a.flac: FLAC cannot hold 2 channels at 65537 Hz"),
        ("a.m4a", replace(WAV, sample_rate=192_000), "a.m4a: AAC cannot hold 2 channels at 192000 Hz"),
    ],
)
def test_what_a_format_cannot_hold_is_an_error_that_says_what_to_do(output: str, info: AudioInfo, message: str) -> None:
    with pytest.raises(ImseError) as caught:
        output_format_for(Path(output), info)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("extension", [".flac", ".aiff", ".caf", ".au", ".w64", ".sph", ".rf64"])
def test_conversions_of_16_bits_lose_nothing(extension: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / f"out{extension}"
    soundfile.write(source, speechlike(5000, 16_000, 2), 16_000)
    rewrite(source, target)
    np.testing.assert_array_equal(read(target)[1], read(source)[1])


def run(code: str, stdin: bytes) -> bytes:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    script = f"from pathlib import Path; from audio.material import open_writer_like, rewrite; {code}"
    return subprocess.run(
        [sys.executable, "-c", script], input=stdin, env=environment, capture_output=True, check=True
    ).stdout


def wav(samples: Block, container: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, "PCM_16", format=container)
    return file.getvalue()


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_standard_input_to_standard_output(size: int | None, container: str) -> None:
    """As programs write to pipes: the size of the samples unknown, the header never mended."""
    samples = speechlike(20_000, 16_000, 2)
    content = bytearray(wav(samples, container))
    if size is not None:
        at = content.index(b"data") + 4
        content[4:8] = content[at : at + 4] = struct.pack("<I", size)
    out = run("rewrite(Path('-'), Path('-'))", bytes(content))
    assert out == wav(samples, container)


def test_standard_input_may_be_empty_of_samples() -> None:
    empty = wav(np.empty((0, 2)))
    assert run("rewrite(Path('-'), Path('-'))", empty) == empty


def test_standard_input_that_is_not_audio_has_a_name() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run("rewrite(Path('-'), Path('-'))", b"hello" * 1000)
    assert b"Error: standard input: not audio that can be read" in caught.value.stderr
    assert caught.value.stdout == b""


def test_standard_output_stays_empty_on_errors(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    no_pair = np.zeros((10, 1))
    with pytest.raises(ValueError, match="Expected 2 channels"), open_writer_like(STDIO, WAV) as writer:
        writer.write(no_pair)
    assert capfdbinary.readouterr().out == b""


def test_without_pyav_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("av", "imse.audio.av_reader", "imse.audio.av_writer"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "av", None)
    source = tmp_path / "a.m4a"
    source.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with pytest.raises(ImseError) as caught, open_reader(source):
        pass
    assert str(caught.value) == f"{source}: needs PyAV: pip install 'imse[av]'"
    target = tmp_path / "b.m4a"
    with pytest.raises(ImseError) as caught, open_writer_like(target, WAV):
        pass
    assert str(caught.value) == f"{target}: needs PyAV: pip install 'imse[av]'"
    text = tmp_path / "c.wav"
    text.write_text("hello")
    with pytest.raises(ImseError, match=r"c\.wav: not audio that can be read"), open_reader(text):
        pass


def test_pyav_is_imported_only_when_it_is_needed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speechlike(100, 16_000), 16_000)
    code = f"import sys; rewrite(Path({str(tmp_path / 'a.wav')!r}), Path({str(tmp_path / 'b.flac')!r}))"
    assert run(f"{code}; print('av' in sys.modules)", b"").strip() == b"False"
