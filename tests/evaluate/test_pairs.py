"""Which files are compared, and the errors for folders that do not match."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from evaluate.material import speech, write
from imse.errors import ImseError
from imse.evaluate import evaluate
from imse.evaluate.pairs import find_pairs

VOICE = speech(0.5)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write(tmp_path / "clean", {"a.wav": VOICE, "rooms/b.wav": VOICE})


def test_matched_by_name_in_the_folder_whatever_the_format(clean: Path, tmp_path: Path) -> None:
    enhanced = write(tmp_path / "enhanced", {"a.enhanced.flac": VOICE, "rooms/b.flac": VOICE})
    noisy = write(tmp_path / "noisy", {"a.wav": VOICE, "rooms/b.wav": VOICE})
    (enhanced / "notes.txt").write_text("not a recording")
    index = tmp_path / "INDEX.tsv"
    index.write_text("id\tsnr_db\tnoise\nrooms/b\t7.5\tcafe\na\t\tcafe\nc\t1\tbus\n")
    first, second = find_pairs(clean, [enhanced], noisy, index)
    assert (first.id, first.snr_db, first.enhanced) == ("a", None, (enhanced / "a.enhanced.flac",))
    assert (second.id, second.snr_db, second.noisy) == ("rooms/b", 7.5, noisy / "rooms" / "b.wav")


def test_a_length_within_one_hop_is_no_error(clean: Path, tmp_path: Path) -> None:
    enhanced = write(tmp_path / "enhanced", {"a.wav": VOICE[:-100], "rooms/b.wav": np.pad(VOICE, (0, 100))})
    evaluation = evaluate(clean, enhanced, measures=["level_db"])
    assert all(abs(file.values["level_db"]) < 1 for file in evaluation.enhanced[0].files)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.wav": VOICE}, "clean/rooms/b.wav: no file of that name in {}/enhanced"),
        ({"a.wav": VOICE, "rooms/b.wav": VOICE, "c.wav": VOICE}, "enhanced/c.wav: no file of that name in {}/clean"),
        ({"a.wav": VOICE, "a.flac": VOICE}, "enhanced/a.wav: has the same name as a.flac; which one is meant?"),
        ({"a.wav": VOICE[:-101], "rooms/b.wav": VOICE}, "enhanced/a.wav: 7899 samples, but {}/clean/a.wav has 8000"),
        ({"a.wav": np.stack([VOICE] * 2, 1), "rooms/b.wav": VOICE}, "enhanced/a.wav: 2 channels; "),
        ({}, "enhanced: no recordings in it"),
    ],
)
def test_files_that_do_not_fit(clean: Path, tmp_path: Path, files: dict[str, np.ndarray], message: str) -> None:
    (tmp_path / "enhanced").mkdir()
    enhanced = write(tmp_path / "enhanced", files)
    with pytest.raises(ImseError) as error:
        evaluate(clean, enhanced)
    assert str(error.value).startswith(f"{tmp_path}/{message.format(tmp_path)}")
    assert "\n" not in str(error.value)


def test_other_rate(clean: Path, tmp_path: Path) -> None:
    enhanced = write(tmp_path / "enhanced", {"a.wav": VOICE, "rooms/b.wav": VOICE})
    soundfile.write(enhanced / "a.wav", VOICE, 48_000)
    with pytest.raises(ImseError, match=r"enhanced/a\.wav: 48000 Hz, but .*clean/a\.wav has 16000 Hz"):
        evaluate(clean, enhanced)


def test_rate_too_low(tmp_path: Path) -> None:
    for folder in ("clean", "enhanced"):
        write(tmp_path / folder, {"a.wav": VOICE}, 8_000)
    with pytest.raises(ImseError, match=r"clean/a\.wav: 8000 Hz; the measures need 16000 Hz or more"):
        evaluate(tmp_path / "clean", tmp_path / "enhanced")


def test_higher_rates_are_resampled(tmp_path: Path) -> None:
    for folder in ("clean", "enhanced"):
        write(tmp_path / folder, {"a.wav": np.repeat(speech(1), 3)}, 48_000)
    evaluation = evaluate(tmp_path / "clean", tmp_path / "enhanced", measures=["stoi"])
    assert evaluation.enhanced[0].files[0].values["stoi"] == pytest.approx(1)


def test_not_audio(clean: Path, tmp_path: Path) -> None:
    enhanced = write(tmp_path / "enhanced", {"a.wav": VOICE, "rooms/b.wav": VOICE})
    (enhanced / "a.wav").write_text("words")
    with pytest.raises(ImseError, match=r"enhanced/a\.wav"):
        evaluate(clean, enhanced)


def test_several_files_without_partner_are_counted(tmp_path: Path) -> None:
    clean = write(tmp_path / "clean", {f"{k}.wav": VOICE for k in range(6)})
    enhanced = write(tmp_path / "enhanced", {"0.wav": VOICE})
    with pytest.raises(ImseError, match=r"1\.wav, .*2\.wav, .*3\.wav and 2 more: no file of that name"):
        evaluate(clean, enhanced)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"", "index.tsv: line 0: no column 'id'"),
        (b"name\tsnr_db\n", "index.tsv: line 1: no column 'id'"),
        (b"id\tsnr\na\t5\nrooms/b\t5\n", "index.tsv: line 1: no column 'snr_db'"),
        (b"id\tsnr_db\na\t5\n", "rooms/b: not in the index"),
        (b"id\tsnr_db\na\tloud\n", "index.tsv: line 2: could not convert"),
        (b"id\tsnr_db\na\t5\nrooms/b\tinf\n", "index.tsv: line 3: an SNR must be a finite number, or empty, not inf"),
        (b"id\tsnr_db\na\tnan\n", "index.tsv: line 2: an SNR must be a finite number, or empty, not nan"),
        ("id\tsnr_db\ncafé\t5\n".encode("latin-1"), "index.tsv: not text in UTF-8"),
    ],
)
def test_unusable_index(clean: Path, tmp_path: Path, index: bytes, message: str) -> None:
    (tmp_path / "index.tsv").write_bytes(index)
    with pytest.raises(ImseError, match=message):
        find_pairs(clean, [clean], None, tmp_path / "index.tsv")


def test_index_as_excel_writes_it(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "index.tsv").write_bytes("id\tsnr_db\r\na\t5\r\nrooms/b\t-2.5\r\n".encode("utf-8-sig"))
    pairs = find_pairs(clean, [clean], None, tmp_path / "index.tsv")
    assert [pair.snr_db for pair in pairs] == [5, -2.5]


def test_no_such_folder(clean: Path, tmp_path: Path) -> None:
    with pytest.raises(ImseError, match="nowhere: not a folder"):
        evaluate(clean, tmp_path / "nowhere")


def test_the_same_folder_twice(clean: Path) -> None:
    with pytest.raises(ImseError, match="once"):
        evaluate(clean, [clean, clean])
