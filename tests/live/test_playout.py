"""`Playout`: sound is played in order and late by the lag, whatever the clocks of the two devices do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imse.live.playout import Playout
from imse.signal.spectrum import Floats

RATE = 16_000
BLOCK = RATE // 100
QUIETEST = np.float32(0.1)  # of what is no pause


def speech_like(seconds: float) -> Floats:
    """[samples, 1]: noise of a fifth of a second with pauses between, its samples all different from zero."""
    samples = round(seconds * RATE)
    noise = np.random.default_rng(0).uniform(0.1, 0.9, samples)
    spoken = np.arange(samples) // (RATE // 5) % 2 == 0
    return np.where(spoken, noise, 1e-4)[:, None].astype(np.float32)


def played(
    sound: Floats, lag: int, latency: int, input_ppm: float = 0, stall: range = range(0)
) -> tuple[Floats, Playout]:
    """All that an output device plays, of sound whose blocks are ready `latency` after they were captured.

    Args:
        sound: [samples, 1].
        lag: Of the playout.
        latency: Samples.
        input_ppm: How much faster the input's clock is.
        stall: Blocks of the output in which nothing gets ready.
    """
    playout = Playout(1, RATE, lag)
    out, pushed = [], 0
    for i in range(round(len(sound) / BLOCK / (1 + input_ppm / 1e6))):
        captured = round(i * BLOCK * (1 + input_ppm / 1e6))
        if i not in stall:
            ready = max(pushed, captured - latency)
            playout.push(sound[pushed:ready])
            pushed = ready
        out.append(playout.pull(BLOCK, captured))
    return np.concatenate(out), playout


def place(sample: np.float32, sound: Floats) -> int:
    """Where in the sound a sample is that is not part of a pause."""
    return int(np.flatnonzero(sound == sample)[0])


def assert_only_pauses_changed(out: Floats, sound: Floats) -> None:
    """From the first word that is played on, all words are."""
    heard, spoken = out[out >= QUIETEST], sound[sound >= QUIETEST]
    first = place(heard[0], spoken)
    assert first < 2 * BLOCK
    np.testing.assert_array_equal(heard, spoken[first : first + len(heard)])


def last_lag(out: Floats, sound: Floats) -> int:
    """How late the last sample is that is not part of a pause."""
    last = int(np.flatnonzero(out >= QUIETEST)[-1])
    return last - place(out[last, 0], sound)


@given(lag=st.integers(0, 4_000), margin=st.integers(0, 1_000))
@settings(max_examples=30, deadline=None)
def test_equal_clocks(lag: int, margin: int) -> None:
    """The output is the input, exactly as late as the lag, without a gap."""
    sound = speech_like(2)
    lag_in_all = lag + margin + BLOCK
    out, playout = played(sound, lag_in_all, lag)
    begin = int(np.flatnonzero(out)[0])
    assert begin < lag_in_all + BLOCK
    np.testing.assert_array_equal(out[begin:], sound[begin - lag_in_all :][: len(out) - begin])
    assert playout.dropouts == playout.grown == 0


@pytest.mark.parametrize("ppm", [-1_500, -100, 100, 1_500])
def test_clocks_that_drift_apart_are_brought_together_in_pauses(ppm: float) -> None:
    """Over a minute nothing is lost but pauses, and the lag stays what it was, give or take a pause."""
    sound = speech_like(60)
    out, playout = played(sound, 1_600, 800, ppm)
    assert playout.dropouts == 0
    assert_only_pauses_changed(out, sound)
    drift = 60 * ppm * RATE / 1e6
    assert abs(last_lag(out, sound) + drift - 1_600) < 0.05 * RATE


def test_a_stall_is_heard_once_and_then_allowed_for() -> None:
    """What comes late is played late; the lag grows a little, and nothing but silence is added."""
    sound = speech_like(4)
    out, playout = played(sound, 1_600, 800, stall=range(100, 108))
    assert playout.dropouts == 1
    assert playout.grown == RATE // 100
    assert_only_pauses_changed(out, sound)


def test_a_long_stall_is_caught_up() -> None:
    """Sound that is much too late is left out, rather than that all that follows is late."""
    sound = speech_like(6)
    out, playout = played(sound, 1_600, 800, stall=range(100, 180))
    assert playout.dropouts >= 2
    assert last_lag(out, sound) < 1_600 + 0.05 * RATE
