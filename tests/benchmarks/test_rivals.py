"""What comes before the scores: delays are found and taken out, and systems that are not installed are named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import rival_systems
import rivals
from imse.errors import ImseError


@settings(max_examples=20, deadline=None)
@given(late=st.integers(-500, 500), tail=st.integers(0, 2_000), seed=st.integers(0, 2**32 - 1))
def test_a_delay_is_found_and_taken_out(late: int, tail: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal(4_000, np.float32)
    shifted = np.concatenate([np.zeros(late, np.float32), x]) if late >= 0 else x[-late:]
    output = np.pad(shifted, (0, tail))
    assert rivals.latency([x, x], [output, output]) == late
    restored = rivals.moved(output, late, len(x))
    assert restored.shape == x.shape
    kept = slice(max(-late, 0), None)
    np.testing.assert_array_equal(restored[kept], x[kept])


def test_frames_are_given_on_in_order(recording: NDArray[np.float32]) -> None:
    """What is written for each frame is the output; silence after the recording fills the last frames."""

    def process(frame: NDArray[np.float32], enhanced: NDArray[np.float32]) -> None:
        enhanced[:] = -frame

    output = rival_systems.by_frames(recording, 480, process)
    assert len(output) % 480 == 0
    assert len(output) >= len(recording) + 4_800
    np.testing.assert_array_equal(output[: len(recording)], -recording)
    assert not output[len(recording) :].any()


def test_a_system_that_is_not_installed_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rival_systems, "find_spec", lambda _name: None)
    with pytest.raises(ImseError, match="pip install --no-deps pyrnnoise"):
        rival_systems.SYSTEMS["RNNoise 0.2"].open()
    assert rivals.opened("RNNoise 0.2") is None
    assert "RNNoise 0.2 is left out" in capsys.readouterr().out
