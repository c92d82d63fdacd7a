"""DNSMOS P.835: predicted ratings of the speech, the background and the whole, without a reference.

Reddy, Gopal and Cutler, "DNSMOS P.835: A non-intrusive perceptual objective speech quality metric", ICASSP 2022. The
network is the one in the package `speechmos`, whose own code would need librosa, pandas and requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import onnxruntime

from imse.evaluate.frames import AnyFloats
from imse.signal.spectrum import SAMPLE_RATE

_WINDOW_SECONDS = 9.01
WINDOW = int(_WINDOW_SECONDS * SAMPLE_RATE)
"""Samples that the network rates at a time."""
_HOP = SAMPLE_RATE
# From the network's outputs (speech, background, overall) to ratings: constant, linear and quadratic coefficients,
# published with the network.
_TO_RATING = np.array(
    [
        [0.0052439, 1.22083953, -0.08397278],
        [-0.39604546, 1.60915514, -0.13166888],
        [0.04602535, 1.11546468, -0.06766283],
    ]
)


class Rating(NamedTuple):
    """Predicted mean opinions, 1 to 5."""

    speech: float
    background: float
    overall: float


def dnsmos(signal: AnyFloats) -> Rating:
    """Rate a recording: the mean over windows of 9.01 s, one each second.

    Args:
        signal: [samples] at 16 kHz, at least one; repeated where shorter than a window.
    """
    # Doubling, as the reference does, and not just filling up: it decides how many windows there are.
    while len(signal) < WINDOW:
        signal = np.tile(signal, 2)
    starts = [
        _HOP * second for second in range(max(1, int(len(signal) // _HOP - _WINDOW_SECONDS + 1))) if _whole(second)
    ]
    return rate([signal[start : start + WINDOW] for start in starts])


def rate(windows: Sequence[AnyFloats]) -> Rating:
    """Mean rating of windows [144160] at 16 kHz, at least one."""
    inputs = (window[None].astype(np.float32) for window in windows)
    raw = np.concatenate([_session().run(None, {"input_1": window})[0] for window in inputs])
    powers = raw[:, :, None] ** np.arange(3)
    return Rating(*(float(rating) for rating in np.sum(powers * _TO_RATING, axis=-1).mean(axis=0)))


def _whole(second: int) -> bool:
    """Whether the reference scores the window that starts at `second`; its rounding loses some of them."""
    return int((second + _WINDOW_SECONDS) * SAMPLE_RATE) - second * SAMPLE_RATE >= WINDOW


@cache
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    network = files("speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(network.read_bytes(), options, providers=["CPUExecutionProvider"])
