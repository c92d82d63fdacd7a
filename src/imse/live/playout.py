"""Samples on their way to the output device, whose clock is not that of the input device.

A sample is played a fixed time, the lag, after it was captured. Two clocks drift apart, by some milliseconds in a
minute: then the lag is corrected in pauses, which become a little shorter or longer. Nobody hears that, and after
enhancement pauses are quiet.
"""

from __future__ import annotations

from threading import Lock

import numpy as np

from imse.signal.spectrum import Floats

_TOLERANCE = 0.02  # seconds of lag that are left alone: the callbacks of a device come as unevenly as that
_MOST_EXCESS = 0.25  # seconds too late after which there is no waiting for a pause
_QUIET = 0.002  # -54 dB of full scale
_GROWTH, _MOST_GROWTH = 0.01, 0.1  # seconds, of the lag, at every time that nothing was there
_SMOOTHING = 0.5  # seconds, of the measured lag


class Playout:
    """A queue between the thread that computes and the callback of the output device.

    Args:
        channels: Of the samples.
        sample_rate: In Hz.
        lag: Samples between capturing and playing. It can be set anew at any time. A machine that does not work as
            evenly as that asks for gets some more.

    Attributes:
        grown: Samples that the lag has become longer than asked for.
        dropouts: How many times nothing was there to be played, or sound was thrown away to catch up.
    """

    def __init__(self, channels: int, sample_rate: int, lag: int) -> None:
        self.lag = lag
        self.grown = 0
        self.dropouts = 0
        self._rate = sample_rate
        self._ready: Floats = np.zeros((0, channels), np.float32)
        self._position = 0  # of the first sample in `_ready`, counted from the first that was captured
        self._waiting = self._is_new = True  # until a sample is as old as the lag
        self._smooth_lag = float(lag)
        self._lock = Lock()

    def push(self, samples: Floats) -> None:
        """Append samples [n, channels]."""
        with self._lock:
            self._ready = np.concatenate([self._ready, samples])

    def pull(self, samples: int, captured: int) -> Floats:
        """The next samples to play.

        Args:
            samples: How many.
            captured: Samples captured so far, at the input device.

        Returns:
            [samples, channels]; zeros where there is nothing to play.
        """
        with self._lock:
            if self._waiting and not self._begins(captured):
                return self._silence(samples)
            rate = min(1.0, samples / (_SMOOTHING * self._rate))
            self._smooth_lag += rate * (captured - self._position - self._smooth_lag)
            if self._corrected(samples):
                return self._silence(samples)
            out = self._take(samples)
            if len(out) < samples:
                self._waiting = True
                self.dropouts += 1
                most = round(_MOST_GROWTH * self._rate)
                self.grown = min(most, self.grown + round(_GROWTH * self._rate))
                out = np.concatenate([out, self._silence(samples - len(out))])
            return out

    def _begins(self, captured: int) -> bool:
        """Whether there is something to play that is as old as the lag asks for; what is older is left out at first."""
        excess = captured - self._position - self.lag - self.grown
        if excess < 0 or len(self._ready) <= excess * self._is_new:
            return False
        self._smooth_lag = float(captured - self._position)
        if self._is_new:
            self._drop(excess)
        self._waiting = self._is_new = False
        return True

    def _corrected(self, samples: int) -> bool:
        """Bring the lag nearer to what it should be; whether silence is to be played for that."""
        excess = round(self._smooth_lag - self.lag - self.grown)
        if excess > _MOST_EXCESS * self._rate:
            self._drop(excess)
            self.dropouts += 1
        elif abs(excess) > _TOLERANCE * self._rate and np.abs(self._ready[:samples]).max(initial=0) < _QUIET:
            if excess < 0:
                self._smooth_lag += samples
                return True
            self._drop(max(0, min(excess, samples, len(self._ready) - samples)))
        return False

    def _drop(self, samples: int) -> None:
        self._smooth_lag -= len(self._take(samples))

    def _take(self, samples: int) -> Floats:
        taken, self._ready = self._ready[:samples], self._ready[samples:]
        self._position += len(taken)
        return taken

    def _silence(self, samples: int) -> Floats:
        return np.zeros((samples, self._ready.shape[1]), np.float32)
