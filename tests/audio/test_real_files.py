"""Files that other programs make: joined, without a length in the header, cut short, with a hole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.material import Floats, lag, read, rewrite, run, speechlike
from imse.audio import open_reader

pytest.importorskip("av")

RATE = 16_000
SECONDS = 8


def ffmpeg(source: Path, target: Path, *options: str) -> None:
    run("ffmpeg", "-v", "error", "-y", "-i", source, *options, target)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "source.wav"
    soundfile.write(path, speechlike(SECONDS * RATE, RATE), RATE)
    return path


def decoded(path: Path) -> tuple[Floats, str | None]:
    with open_reader(path) as reader:
        blocks = list(reader.blocks(5000))
        assert reader.info.frames == sum(map(len, blocks))
        return np.concatenate([*blocks, np.empty((0, reader.info.channels), np.float32)]), reader.damage


@pytest.mark.parametrize(
    "options",
    [("-t", "-V2"), ("-t", "--abr", "96"), ("-t", "-b", "64"), ("-V4",), ("-b", "64")],
    ids=" ".join,
)
def test_mp3_of_lame_is_decoded_to_its_end(options: tuple[str, ...], wav: Path, tmp_path: Path) -> None:
    mp3, out = tmp_path / "in.mp3", tmp_path / "out.mp3"
    run("lame", "--quiet", *options, wav, mp3)
    samples, damage = decoded(mp3)
    assert damage is None
    assert 0 <= len(samples) - SECONDS * RATE < 3000  # without a header, the delay of the encoder is unknown
    rewrite(mp3, out)
    info, again = read(out)
    assert (info.format, info.subtype, len(again)) == ("MP3", "MPEG_LAYER_III", len(samples))
    assert lag(again[:, 0], samples[:, 0]) == 0


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_mp3_is_decoded_as_by_ffmpeg_and_without_complaints(
    rate: int, wav: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Frames that borrow bits from earlier ones need a decoder that never seeks in between."""
    mp3, expected = tmp_path / "in.mp3", tmp_path / "expected.wav"
    ffmpeg(wav, mp3, "-ar", str(rate), "-q:a", "4")
    ffmpeg(mp3, expected, "-c:a", "pcm_f32le")
    samples, damage = decoded(mp3)
    assert damage is None
    assert capfd.readouterr().err == ""
    np.testing.assert_allclose(samples[:, 0], soundfile.read(expected)[0], atol=1e-5)


def test_mp3_of_ffmpeg_without_a_length_is_decoded_to_its_end(wav: Path, tmp_path: Path) -> None:
    mp3 = tmp_path / "in.mp3"
    ffmpeg(wav, mp3, "-q:a", "4", "-write_xing", "0")
    samples, damage = decoded(mp3)
    assert damage is None
    assert 0 <= len(samples) - SECONDS * RATE < 3000


@pytest.mark.parametrize("extension", [".mp3", ".ogg", ".opus"])
def test_joined_files_are_decoded_to_their_end(extension: str, wav: Path, tmp_path: Path) -> None:
    """As `cat one two three` makes them."""
    part, joined, out = (tmp_path / f"{name}{extension}" for name in ("part", "joined", "out"))
    if extension == ".mp3":
        run("lame", "--quiet", "-V4", wav, part)
    else:
        ffmpeg(wav, part)
    joined.write_bytes(3 * part.read_bytes())
    samples, damage = decoded(joined)
    assert damage is None
    assert 0 <= len(samples) - 3 * SECONDS * RATE < 6000
    rewrite(joined, out)
    assert len(decoded(out)[0]) == len(samples)
    if extension != ".mp3":
        np.testing.assert_array_equal(samples, np.tile(decoded(part)[0], (3, 1)))


def by_soundfile(container: str) -> Callable[[Path, Path], None]:
    def convert(source: Path, target: Path) -> None:
        soundfile.write(target, soundfile.read(source)[0], RATE, format=container)

    return convert


@pytest.mark.parametrize(
    ("extension", "convert"),
    [
        (".caf", ffmpeg),
        (".w64", ffmpeg),
        (".rf64", by_soundfile("RF64")),
        (".sph", lambda source, target: run("sox", source, target)),
        (".ogg", ffmpeg),
        (".opus", ffmpeg),
        (".mka", ffmpeg),
        (".mkv", ffmpeg),
        (".webm", ffmpeg),
        (".mp3", lambda source, target: run("lame", "--quiet", "-V4", source, target)),
        (".flac", ffmpeg),
    ],
)
def test_half_a_file_is_read_and_reported(
    extension: str, convert: Callable[[Path, Path], None], wav: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"in{extension}"
    convert(wav, path)
    whole, damage = decoded(path)
    assert damage is None
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    half, damage = decoded(path)
    assert str(damage).startswith(f"{path}: damaged or cut short; {len(half)} samples")
    assert 0.3 < len(half) / len(whole) < 0.6


@pytest.mark.parametrize("extension", [".mp3", ".flac"])
def test_what_follows_a_hole_is_kept_and_the_hole_reported(extension: str, wav: Path, tmp_path: Path) -> None:
    path = tmp_path / f"in{extension}"
    ffmpeg(wav, path)
    whole, _ = decoded(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)
    samples, damage = decoded(path)
    assert "damaged or cut short" in str(damage)
    assert 0.75 * len(whole) < len(samples) <= len(whole)
    # The end is there; that of MP3 with what the encoder added.
    assert abs(lag(samples[-RATE:, 0], whole[-RATE:, 0])) <= (576 if extension == ".mp3" else 0)
