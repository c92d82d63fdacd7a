"""Every format of libsndfile: what goes in comes out, at the same rate, channels, length and depth."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.material import lag, open_writer_like, read, rewrite, speechlike
from imse.audio import AudioInfo, open_reader
from imse.audio import sndfile as sndfile_module
from imse.audio.formats import SUBTYPES
from imse.errors import ImseError

EXTENSIONS = {
    "WAV": ".wav", "WAVEX": ".wav", "RF64": ".wav", "W64": ".w64", "AIFF": ".aiff", "CAF": ".caf", "AU": ".au",
    "NIST": ".sph", "FLAC": ".flac", "OGG": ".ogg", "MP3": ".mp3",
}  # fmt: skip
LOSSY_EXTENSIONS = {".mp3": "MP3", ".ogg": "OGG", ".opus": "OGG"}
LOSSY = {"VORBIS", "OPUS", "MPEG_LAYER_III"}
LOSSLESS = [(container, subtype) for container in SUBTYPES for subtype in sorted(SUBTYPES[container] - LOSSY)]


@pytest.mark.parametrize(("container", "subtype"), LOSSLESS)
def test_lossless_formats_come_out_bit_for_bit(container: str, subtype: str, tmp_path: Path) -> None:
    source, target = tmp_path / f"in{EXTENSIONS[container]}", tmp_path / f"out{EXTENSIONS[container]}"
    samples = speechlike(20_011, 22_050, 2)
    samples[:4] = np.array([[1, -1], [-1, 1], [0, 0], [1 - 2**-31, -1 + 2**-31]])
    soundfile.write(source, samples, 22_050, subtype, format=container)
    rewrite(source, target)
    with soundfile.SoundFile(source) as before, soundfile.SoundFile(target) as after:
        assert (after.format, after.subtype) == (before.format, before.subtype) == (container, subtype)
        assert (after.samplerate, after.channels, after.frames) == (22_050, 2, before.frames)
        assert after.endian == before.endian
        np.testing.assert_array_equal(after.read(), before.read())


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(LOSSLESS),
    st.integers(1, 9000),
    st.integers(8_000, 65_535) | st.sampled_from([88_200, 96_000, 176_400, 192_000]),
    st.integers(1, 8),
    st.integers(1, 5000),
)
def test_any_length_rate_and_number_of_channels(
    kind: tuple[str, str], frames: int, sample_rate: int, channels: int, frames_per_block: int
) -> None:
    container, subtype = kind
    extension = EXTENSIONS[container]
    info = AudioInfo(sample_rate, channels, frames, container, subtype, extension)
    with tempfile.TemporaryDirectory() as folder:
        target, again = Path(folder, f"target{extension}"), Path(folder, f"again{extension}")
        with open_writer_like(target, info) as writer:
            writer.write(speechlike(frames, sample_rate, channels))
        rewrite(target, again, frames_per_block)
        info, samples = read(again)
        assert (info.sample_rate, info.channels, info.frames) == (sample_rate, channels, frames)
        assert samples.shape == (frames, channels)
        np.testing.assert_array_equal(samples, read(target)[1])


@pytest.mark.parametrize(("subtype", "written"), [("ALAC_16", "ALAC_16"), ("ALAC_24", "PCM_24"), ("ALAC_32", "PCM_32")])
def test_alac_keeps_blocks_that_cannot_be_compressed(
    subtype: str, written: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (4_097, 2))
    source = AudioInfo(16_000, 2, len(samples), "CAF", subtype, ".caf")
    with open_writer_like(tmp_path / "a.caf", source) as writer:
        writer.write(samples)
    info, again = read(tmp_path / "a.caf")
    assert (info.subtype, info.frames) == (written, len(samples))
    np.testing.assert_allclose(again, samples, rtol=0, atol=2.0 ** -int(subtype[-2:]))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("extension", "subtype", "sample_rate"),
    [
        (extension, subtype, rate)
        for extension, subtype, rates in (
            (".mp3", "MPEG_LAYER_III", (8_000, 22_050, 44_100)),
            (".ogg", "VORBIS", (8_000, 44_100, 96_000)),
            (".opus", "OPUS", (8_000, 12_000, 16_000, 24_000, 48_000)),
        )
        for rate in rates
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_formats_keep_length_alignment_and_bit_rate(
    extension: str, subtype: str, sample_rate: int, channels: int, tmp_path: Path
) -> None:
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    samples = speechlike(sample_rate + 77, sample_rate, channels)
    soundfile.write(source, samples, sample_rate, subtype, format=LOSSY_EXTENSIONS[extension])
    rewrite(source, target)
    before, first = read(source)
    after, second = read(target)
    assert (after.format, after.subtype, after.sample_rate) == (before.format, subtype, sample_rate)
    assert second.shape == first.shape == samples.shape
    assert lag(second[:, 0], first[:, 0]) == 0
    assert before.bit_rate is not None
    assert after.bit_rate is not None
    assert 0.9 * before.bit_rate <= after.bit_rate


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
@pytest.mark.parametrize(("sample_rate", "level"), [(11_025, 0.2), (22_050, 0.5), (44_100, 0.2), (44_100, 0.8)])
@pytest.mark.parametrize("quiet", [False, True])
def test_mp3_never_falls_below_its_bit_rate(
    mode: str, sample_rate: int, level: float, quiet: bool, tmp_path: Path
) -> None:
    """Also where the sound has become quiet, for which an encoder of variable rate spends less."""
    source, target = tmp_path / "in.mp3", tmp_path / "out.mp3"
    samples = speechlike(4 * sample_rate, sample_rate, 2)
    soundfile.write(source, samples, sample_rate, compression_level=level, bitrate_mode=mode)
    before, sound = read(source)
    with open_writer_like(target, before) as writer:
        writer.write(sound * (0.01 if quiet else 1))
    after = read(target)[0]
    assert before.bit_rate is not None
    assert after.bit_rate is not None
    assert 0.999 * before.bit_rate <= after.bit_rate <= 1.3 * before.bit_rate + 8000


@pytest.mark.parametrize(("extension", "subtype"), [(".opus", "OPUS"), (".ogg", "VORBIS")])
@pytest.mark.parametrize("level", [0.0, 0.3, 0.6])
def test_ogg_never_falls_below_its_bit_rate(extension: str, subtype: str, level: float, tmp_path: Path) -> None:
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    samples = speechlike(3 * 48_000, 48_000, 2)
    soundfile.write(source, samples, 48_000, subtype, format="OGG", compression_level=level)
    rewrite(source, target)
    before, after = read(source)[0].bit_rate, read(target)[0].bit_rate
    assert before is not None
    assert after is not None
    assert after >= 0.9 * before


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW"])
def test_integers_clip_and_never_wrap_around(subtype: str, tmp_path: Path) -> None:
    target = tmp_path / "out.wav"
    with open_writer_like(target, AudioInfo(16_000, 1, 6, "WAV", subtype, ".wav")) as writer:
        writer.write(np.array([[1.0], [1.5], [1e9], [-1.0], [-1.5], [-1e9]], np.float32))
    samples = soundfile.read(target)[0]
    assert (samples[:3] == samples[1]).all()
    assert (samples[3:] == samples[4]).all()
    assert 0.97 < samples[1] <= 1
    assert -1 <= samples[4] < -0.97


def test_integers_are_rounded_to_the_nearest(tmp_path: Path) -> None:
    target = tmp_path / "out.wav"
    steps = np.array([[0.4], [0.6], [-0.4], [-0.6], [1000.4], [-1000.6]])
    with open_writer_like(target, AudioInfo(16_000, 1, 6, "WAV", "PCM_16", ".wav")) as writer:
        writer.write(steps / 2**15)
    assert soundfile.read(target, dtype="int16")[0].tolist() == [0, 1, 0, -1, 1000, -1001]


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_files_keep_values_beyond_full_scale(subtype: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, [3.5, -1e6, 1e-30], 16_000, subtype)
    rewrite(source, target)
    np.testing.assert_array_equal(soundfile.read(target)[0], soundfile.read(source)[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_no_numbers_are_an_error(value: float, subtype: str, tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    samples = speechlike(9000, 16_000)
    samples[8000] = value
    soundfile.write(source, samples, 16_000, subtype)
    with pytest.raises(ImseError, match=r"in\.wav: contains NaN or infinite samples"):
        read(source)


@pytest.mark.parametrize("extension", [".wav", ".ogg", ".aiff", ".caf", ".w64", ".au"])
def test_no_samples_give_no_samples(extension: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / f"out{extension}"
    soundfile.write(source, np.empty((0, 2)), 16_000)
    rewrite(source, target)
    info, samples = read(target)
    assert samples.shape == (0, 2)
    assert (info.sample_rate, info.channels) == (16_000, 2)


@pytest.mark.parametrize("extension", [".mp3", ".opus", ".flac"])
def test_no_samples_in_a_format_that_cannot_be_empty_are_an_error(extension: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / f"out{extension}"
    soundfile.write(source, np.empty((0, 2)), 16_000)
    with pytest.raises(ImseError, match=r"cannot be empty; name one that ends in \.wav"):
        rewrite(source, target)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("extension", LOSSY_EXTENSIONS)
@pytest.mark.parametrize("frames", [1, 100, 1151])
def test_short_lossy_files_keep_their_length(extension: str, frames: int, tmp_path: Path) -> None:
    source, target, again = tmp_path / "in.wav", tmp_path / f"out{extension}", tmp_path / f"again{extension}"
    soundfile.write(source, speechlike(frames, 16_000, 2), 16_000)
    rewrite(source, target)
    rewrite(target, again)
    assert read(again)[1].shape == (frames, 2)


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_block_codecs_become_16_bit_pcm_of_the_same_length(subtype: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, speechlike(20_011, 16_000), 16_000, subtype)
    rewrite(source, target)
    info, samples = read(target)
    assert (info.format, info.subtype) == ("WAV", "PCM_16")
    np.testing.assert_array_equal(samples, read(source)[1])


def test_every_pass_reads_the_same(tmp_path: Path) -> None:
    source = tmp_path / "in.mp3"
    soundfile.write(source, speechlike(30_000, 16_000), 16_000)
    with open_reader(source) as reader:
        first, second = (np.concatenate(list(reader.blocks(size))) for size in (777, 4096))
        next(reader.blocks(100))  # a pass that is left early
        third = np.concatenate(list(reader.blocks(100_000)))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)


def test_blocks_have_the_length_asked_for(tmp_path: Path) -> None:
    source = tmp_path / "in.flac"
    soundfile.write(source, speechlike(10_001, 16_000), 16_000)
    with open_reader(source) as reader:
        assert [len(block) for block in reader.blocks(4000)] == [4000, 4000, 2001]


@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_wav_beyond_4_gib_becomes_rf64(container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imse.audio.formats.SIZE_LIMIT", 20_000)
    target = tmp_path / "out.wav"
    samples = speechlike(10_001, 16_000)
    with open_writer_like(target, AudioInfo(16_000, 1, len(samples), container, "PCM_16", ".wav")) as writer:
        writer.write(samples)
    with soundfile.SoundFile(target) as file:
        assert (file.format, file.subtype, file.frames) == ("RF64", "PCM_16", len(samples))


def test_more_than_a_container_can_hold_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sndfile_module, "SIZE_LIMIT", 20_000)
    info = AudioInfo(16_000, 1, 10_001, "AIFF", "PCM_16", ".aiff")
    with (
        pytest.raises(ImseError, match=r"AIFF holds at most 4 GiB; name one that ends in \.w64"),
        open_writer_like(tmp_path / "out.aiff", info) as writer,
    ):
        writer.write(speechlike(10_001, 16_000))
    assert list(tmp_path.iterdir()) == []


def test_what_a_wav_header_cannot_count_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg writes more than 4 GiB into a plain WAV file."""
    monkeypatch.setattr(sndfile_module, "SIZE_LIMIT", 20_000)
    source = tmp_path / "in.wav"
    soundfile.write(source, speechlike(10_001, 16_000), 16_000)
    with source.open("ab") as file:
        file.write(bytes(2**20))
    with open_reader(source) as reader:
        list(reader.blocks(5000))
        assert reader.damage == f"{source}: damaged or cut short; 10001 samples could be read"


@pytest.mark.parametrize("extension", [".wav", ".flac", ".ogg", ".mp3", ".aiff", ".au", ".w64"])
def test_what_is_left_of_a_file_cut_short_is_read(extension: str, tmp_path: Path) -> None:
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    soundfile.write(source, speechlike(160_000, 16_000), 16_000)
    whole = read(source)[1]
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 6 // 10])
    with open_reader(source) as reader:
        samples = np.concatenate(list(reader.blocks(16_000)))
        assert str(reader.damage).startswith(f"{source}: damaged or cut short; ")
    assert 0.4 * len(whole) < len(samples) < 0.7 * len(whole)
    if extension != ".mp3":  # its last frames come out otherwise, without those after them
        np.testing.assert_array_equal(samples, whole[: len(samples)])
    rewrite(source, target)
    assert read(target)[1].shape == samples.shape


def test_a_flac_stream_of_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    """As programs write to a pipe."""
    source, target = tmp_path / "in.flac", tmp_path / "out.wav"
    soundfile.write(source, speechlike(30_001, 16_000), 16_000)
    whole = read(source)[1]
    content = bytearray(source.read_bytes())
    content[21] &= 0xF0  # the last four bytes and a half before the checksum count the samples
    content[22:26] = bytes(4)
    source.write_bytes(content)
    with open_reader(source) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader.blocks(5000))), whole)
        assert reader.damage is None
    rewrite(source, target)
    info, samples = read(target)
    assert info.format == "WAV"
    np.testing.assert_array_equal(samples, whole)


def test_a_whole_file_has_no_note(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    soundfile.write(source, speechlike(100, 16_000), 16_000)
    with open_reader(source) as reader:
        list(reader.blocks(30))
        assert reader.damage is None
