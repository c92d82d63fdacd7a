"""Draw docs/noisy.png and docs/enhanced.png: spectrograms of the example, before and after the default weights.

python docs/before_after.py
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import soundfile

import imse
from imse.evaluate.report.media import loudest, spectrogram_uri

DOCS = Path(__file__).parent


def main() -> None:
    """Write both pictures on one scale."""
    noisy, sample_rate = soundfile.read(DOCS.parent / "examples" / "dishes.flac", dtype="float32")
    reference = loudest(noisy)
    for name, signal in (("noisy", noisy), ("enhanced", imse.enhance(noisy, sample_rate))):
        _, _, content = spectrogram_uri(signal, reference).partition(",")
        (DOCS / f"{name}.png").write_bytes(b64decode(content))


if __name__ == "__main__":
    main()
