"""Recordings of all kinds: any rate, length and number of channels, silent, damaged, unreadable."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.material import RATE, speech
from imse.evaluate.dnsmos import Rating
from imse.score.excerpts import Excerpts
from imse.score.items import Item
from imse.score.recording import Quality, measure
from imse.score.run import score
from imse.score.writers import write_json


@pytest.fixture(autouse=True, scope="module")
def _quick() -> object:
    """DNSMOS is slow, and not what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imse.score.excerpts.dnsmos", lambda _: Rating(3.0, 3.0, 3.0))
        yield


@given(
    rate=st.sampled_from([8_000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000]),
    channels=st.integers(1, 7),
    frames=st.integers(1, 60_000),
    level=st.sampled_from([0.0, 1e-6, 1e-3, 0.3, 3.0]),
)
@settings(max_examples=25, deadline=None)
def test_any_rate_channels_length_and_level(rate: int, channels: int, frames: int, level: float) -> None:
    signal = level * np.random.default_rng(frames).standard_normal((frames, channels))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        soundfile.write(path, signal, rate, "FLOAT")
        quality = measure(path).quality
    assert (quality.sample_rate, quality.channels, quality.seconds) == (rate, channels, frames / rate)
    for name in Quality.__dataclass_fields__:
        assert (getattr(quality, name) is None) == (name in quality.missing or name == "damage")
    if quality.seconds < 0.4:
        assert "noise_floor_db" in quality.missing
    if level == 0:
        assert set(quality.missing.values()) == {"silent"}
    if level == 0.3 and quality.seconds >= 0.4:
        assert quality.bandwidth_hz == pytest.approx(rate / 2, rel=0.1)
    json.dumps(quality.missing, allow_nan=False)


def test_unreadable_ones_do_not_stop_the_others(tmp_path: Path) -> None:
    """The good ones are scored; there is one line for each of the others."""
    soundfile.write(tmp_path / "good.flac", speech(1), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, "FLOAT")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    soundfile.write(tmp_path / "slow.wav", speech(1), 4_000)
    (tmp_path / "text.wav").write_text("no sound")
    whole = (tmp_path / "good.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    names = ["good.flac", "nan.wav", "empty.wav", "slow.wav", "text.wav", "cut.flac", "absent.wav"]
    calls: list[tuple[int, int]] = []
    items = [Item(name, tmp_path / name) for name in names]
    items.append(Item("pair", tmp_path / "good.flac", tmp_path / "nan.wav"))
    scores = score(items, 1, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (8, 8)
    good, *others, cut, absent, pair = scores
    assert good.quality
    assert not good.errors
    for name, found in zip(names[1:5], others, strict=True):
        assert found.quality is None
        assert found.errors[0].startswith(f"{tmp_path / name}: ")
    assert cut.quality
    assert "damaged or cut short" in cut.errors[0]
    assert absent.errors == (f"{tmp_path / 'absent.wav'}: no such file or directory",)
    assert pair.quality
    assert (pair.before, pair.change, len(pair.errors)) == (None, None, 1)
    write_json(scores, tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["recordings"][0]["quality"]["snr_db"] == pytest.approx(good.quality.snr_db)
    assert document["recordings"][1]["errors"] == list(others[0].errors)


def test_memory_does_not_grow_with_the_length() -> None:
    """What is kept of ten minutes: levels, and excerpts of one minute and of twenty windows."""
    excerpts = Excerpts(600 * RATE)
    for _ in range(600):
        excerpts.add(np.zeros(RATE, np.float32))
    kept = sum(window.size for window in excerpts.windows) + excerpts.head.size
    assert kept <= 20 * 144_160 + 60 * RATE
