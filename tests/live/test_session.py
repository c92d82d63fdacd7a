"""`Session` without devices: what goes out is the stream's, machines that are too slow, bad samples."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from imse import Stream, native
from imse.errors import ImseError
from imse.live import enhancement, session
from imse.live.enhancement import Enhancement, Wish
from imse.live.session import Session
from imse.signal.spectrum import Floats

pytestmark = pytest.mark.skipif(not native.available(), reason="needs the compiled engine")

BLOCK = 160


@pytest.fixture
def wish(small_weights: Path) -> Wish:
    return Wish(str(small_weights), sample_rate=16_000, channels=1, latency_ms=140)


def recorded(session: Session) -> tuple[Floats, Floats]:
    pairs = [*session.take_recorded()]
    return tuple(np.concatenate([pair[i] for pair in pairs]) for i in range(2))  # type: ignore[return-value]


def through(session: Session, sound: Floats, block_seconds: float = 0) -> None:
    """Have a session capture and play a sound [samples, channels] in blocks."""
    with session:
        for start in range(0, len(sound), BLOCK):
            session.capture(sound[start : start + BLOCK])
            session.play(BLOCK)
            time.sleep(block_seconds)


def test_two_channels_become_what_a_stream_makes_of_them(small_weights: Path, recording: Floats) -> None:
    sound = np.stack([recording[:20_000], recording[20_000:40_000]], axis=1)
    one = Session(Wish(str(small_weights), 16_000, 2, 140), recorded=True)
    through(one, sound)
    noisy, enhanced = recorded(one)
    np.testing.assert_array_equal(noisy, sound)
    stream = Stream(small_weights, channels=2)
    np.testing.assert_array_equal(enhanced, np.concatenate([stream.feed(sound), stream.flush()]))
    assert one.seconds == 1.25
    assert not list(one.take_recorded())


def test_the_output_is_late_by_latency_and_margin(wish: Wish, recording: Floats) -> None:
    """What is played is the recorded output, or the input, so much later."""
    for hears_input in (False, True):
        one = Session(wish, recorded=True)
        one.hears_input = hears_input
        lag = one.latency + one.margin
        with one:
            one.capture(recording[:32_000, None])
            while not len(one._playout._ready) > 32_000 - one.latency - 1:  # all is computed
                time.sleep(0.01)
            out = one.play(8_000)[:, 0]  # the first that is heard is so old; what is older was left out
        expected = recorded(one)[1 - hears_input][32_000 - lag :, 0]
        count = one.margin  # of samples there
        np.testing.assert_array_equal(out[:count], expected[:count])


def test_samples_that_are_no_numbers_count_as_silence(wish: Wish, recording: Floats) -> None:
    sound = recording[:8_000, None].copy()
    sound[4_000:4_100] = np.nan
    sound[5_000] = np.inf
    one = Session(wish, recorded=True)
    through(one, sound)
    noisy, enhanced = recorded(one)
    np.testing.assert_array_equal(noisy, np.nan_to_num(sound, nan=0, posinf=0))
    assert np.isfinite(enhanced).all()


def test_a_machine_too_slow_begins_with_something_cheaper(wish: Wish, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the small network, then longer latencies, and in the end the sound as it comes."""
    loads = iter([*[2.0] * 3, *[1.5] * 3, 2.0, 0.4])
    monkeypatch.setattr(session, "cost_of", lambda *_: (next(loads), 0.03))
    one = Session(wish)
    first, second = one.events()
    latencies = [Stream("small", latency_ms=latency_ms).latency for latency_ms in (140, 266)]
    for event, samples in zip((first, second), latencies, strict=True):
        assert event.startswith("this machine is too slow for weights")
        assert event.endswith(f"from now on weights 'small' at {samples / 16:.0f} ms")
    assert one.latency == latencies[1]
    monkeypatch.setattr(session, "cost_of", lambda slow, *_: (0.0 if slow.latency == 0 else 2.0, 0.03))
    *_, last = Session(wish).events()
    assert last.endswith("from now on the sound as it comes, without enhancement")


def test_a_machine_that_becomes_too_slow_goes_on_with_something_cheaper(
    wish: Wish, recording: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the recording is lost, and the listener is told."""
    monkeypatch.setattr(session, "_LOAD_SECONDS", 0.5)
    feed = Enhancement.feed
    one = Session(wish, recorded=True)

    def slow(self: Enhancement, block: Floats) -> tuple[Floats, Floats]:
        if self is first:
            time.sleep(1.5 * len(block) / 16_000)
        return feed(self, block)

    first = one._enhancement
    monkeypatch.setattr(Enhancement, "feed", slow)
    sound = recording[:20_000, None]
    through(one, sound, block_seconds=0.01)
    (event,) = one.events()
    assert "too slow for weights" in event
    assert one.dropouts
    noisy, enhanced = recorded(one)
    np.testing.assert_array_equal(noisy, sound)
    assert enhanced.shape == sound.shape


def test_the_sound_as_it_comes_is_the_last_resort(wish: Wish, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "cost_of", lambda slow, *_: (2.0 * bool(slow.latency), 0.03))
    one = Session(wish)
    assert len([*one.events()]) == 3
    one.load, one._playout.dropouts = 2.0, 1
    one._keep_up()
    assert not [*one.events()]


def test_errors_of_the_work_are_not_lost(wish: Wish, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Session(wish)

    def fail(*_: object) -> None:
        raise ImseError("not enough memory")

    monkeypatch.setattr(Enhancement, "feed", fail)
    through(one, np.zeros((BLOCK, 1), np.float32))
    with pytest.raises(ImseError, match="not enough memory"):
        one.check()


def test_wishes_that_cannot_be_had(small_weights: Path) -> None:
    for wish, message in (
        (Wish("nothing", 16_000, 1, 140), "no such weights"),
        (Wish(str(small_weights), 16_000, 1, 1), "the lowest latency is"),
        (Wish(str(small_weights), 7_000, 1, 140), "out of range"),
    ):
        with pytest.raises(ImseError, match=message):
            Session(wish)


def test_the_small_weights_are_the_cheaper_ones() -> None:
    names = [one.name for one in enhancement.from_best_to_cheapest(Wish("small", 16_000, 1, 300))]
    assert len(names) == 2
    assert names[0].startswith("weights 'small'")
