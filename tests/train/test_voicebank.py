"""`imse data voicebank-demand`: missing files are reported, and the others are resampled and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from imse.cli import app
from imse.train import voicebank
from imse.train.manifest import DataError, split_pairs
from imse.train.recipe import DataConfig
from imse.train.recipe_file import read


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of the same shape with three training files and one test file, nested as the archives unpack."""
    small = tuple(
        voicebank.Part(part.name, part.clean, part.noisy, files)
        for part, files in zip(voicebank.PARTS, (3, 1), strict=True)
    )
    monkeypatch.setattr(voicebank, "PARTS", small)
    time = np.arange(4_800) / 48_000
    for part, names in zip(small, (("p226_001", "p228_001", "p287_001"), ("p232_001",)), strict=True):
        for folder in (part.clean, part.noisy):
            nested = tmp_path / folder / folder
            nested.mkdir(parents=True)
            for name in names:
                soundfile.write(nested / f"{name}.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 48_000)
    return tmp_path


def test_files_are_resampled_and_counted(root: Path) -> None:
    result = CliRunner().invoke(app, ["data", "voicebank-demand", str(root)])
    assert result.exit_code == 0, result.output
    assert "1 pairs to train on, 2 of p226 and p287" in result.output
    target = root / "imse"
    samples, rate = soundfile.read(target / "train" / "noisy" / "p228_001.flac")
    assert (rate, len(samples)) == (16_000, 1_600)
    assert samples[200:-200] == pytest.approx(0.5 * np.sin(2 * np.pi * 440 * np.arange(200, 1_400) / 16_000), abs=1e-3)
    folder = target / "train"
    pairs = DataConfig(clean=str(folder / "clean"), noisy=str(folder / "noisy"), held_out_speakers=voicebank.HELD_OUT)
    split = split_pairs(pairs)
    assert {recording.label for recording in split.train} == {"p228"}


def test_the_recipe_holds_out_the_same_speakers() -> None:
    recipe = read(Path(__file__).parents[2] / "recipes" / "voicebank_demand.toml")
    assert recipe.data.held_out_speakers == voicebank.HELD_OUT


def test_a_second_call_goes_on_where_the_first_stopped(root: Path) -> None:
    voicebank.prepare(root, root / "imse")
    copy = root / "imse" / "test" / "clean" / "p232_001.flac"
    before = copy.stat().st_mtime_ns
    assert voicebank.prepare(root, root / "imse") == {"train": 1, "validation": 2, "test": 1}
    assert copy.stat().st_mtime_ns == before


def test_what_is_missing_is_said(root: Path) -> None:
    part = voicebank.PARTS[0]
    (root / part.noisy / part.noisy / "p228_001.wav").unlink()
    test = voicebank.PARTS[1].clean
    (root / test / test / "p232_001.wav").unlink()
    with pytest.raises(DataError) as error:
        voicebank.prepare(root, root / "imse")
    message = str(error.value)
    assert "2 instead of 3 files in noisy_trainset_28spk_wav (for example, no p228_001.wav)" in message
    assert "no folder clean_testset_wav" in message
    with pytest.raises(DataError, match="no such folder"):
        voicebank.find(root / "nowhere")


def test_a_damaged_file_is_named(root: Path) -> None:
    part = voicebank.PARTS[0]
    (root / part.clean / part.clean / "p228_001.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"p228_001\.wav: not readable"):
        voicebank.prepare(root, root / "imse")
