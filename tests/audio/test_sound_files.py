"""Every format of libsndfile: what goes in comes out, at the same rate, channels, length and depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.material import rewrite, speechlike
from imse.audio.formats import SUBTYPES

EXTENSIONS = {
    "WAV": ".wav", "WAVEX": ".wav", "RF64": ".wav", "W64": ".w64", "AIFF": ".aiff", "CAF": ".caf", "AU": ".au",
    "NIST": ".sph", "FLAC": ".flac", "OGG": ".ogg", "MP3": ".mp3",
}  # fmt: skip
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
