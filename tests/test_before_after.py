"""The example before and after, which the README shows, is what the default weights make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

import imse

_DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_recording_is_what_the_default_weights_make(recording: NDArray[np.float32]) -> None:
    """After a change of the weights or of what is around them: python docs/before_after.py."""
    shown, sample_rate = soundfile.read(_DOCS / "dishes.enhanced.flac", dtype="float32")
    enhanced = imse.enhance(recording, sample_rate)
    assert shown.shape == enhanced.shape
    difference_db = 10 * np.log10(np.square(shown - enhanced).mean() / np.square(enhanced).mean())
    assert difference_db < -40  # 16 bits, and engines that round in other ways


def test_pictures_have_one_size() -> None:
    with Image.open(_DOCS / "noisy.png") as noisy, Image.open(_DOCS / "enhanced.png") as enhanced:
        assert noisy.size == enhanced.size
