"""The example before and after the default weights: docs/noisy.png, docs/enhanced.png and docs/dishes.enhanced.flac.

python docs/before_after.py
"""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, ImageDraw, ImageFont

import imse
from imse.evaluate.report.media import loudest, spectrogram_uri
from imse.signal.spectrum import SAMPLE_RATE, Floats

DOCS = Path(__file__).parent
EXAMPLE = DOCS.parent / "examples" / "dishes.flac"
ENHANCED = DOCS / "dishes.enhanced.flac"

WIDTH, HEIGHT = 720, 320  # of the spectrogram
LEFT, TOP, RIGHT, BOTTOM = 70, 14, 24, 46  # margins with the axes
FONT_SIZE = 24  # legible at half the size
TICK = 6
INK = "#333333"


def main() -> None:
    """Write the recording and both pictures, on one scale."""
    noisy, sample_rate = soundfile.read(EXAMPLE, dtype="float32")
    enhanced = imse.enhance(noisy, sample_rate)
    soundfile.write(ENHANCED, enhanced, sample_rate, "PCM_16")
    for name, signal in (("noisy", noisy), ("enhanced", enhanced)):
        picture(signal, loudest(noisy)).save(DOCS / f"{name}.png", optimize=True)


def picture(signal: Floats, reference: float) -> Image.Image:
    """Spectrogram of a signal [samples] at 16 kHz from 80 dB below the power `reference` up, with axes."""
    _, _, content = spectrogram_uri(signal.astype(np.float64), reference).partition(",")
    spectrogram = Image.open(BytesIO(b64decode(content))).convert("RGB").resize((WIDTH, HEIGHT))
    image = Image.new("RGB", (LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM), "white")
    image.paste(spectrogram, (LEFT, TOP))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT_SIZE)

    nyquist_khz = SAMPLE_RATE / 2000
    for khz in range(0, 9, 2):
        y = TOP + HEIGHT * (1 - khz / nyquist_khz)
        draw.line((LEFT - TICK, y, LEFT, y), INK, 2)
        draw.text((LEFT - 2 * TICK, y), str(khz), INK, font, anchor="rm")
    draw.text((2, TOP + HEIGHT * 3 / 8), "kHz", INK, font, anchor="lm")

    seconds = len(signal) / SAMPLE_RATE
    for second in range(int(seconds) + 1):
        x = LEFT + WIDTH * second / seconds
        draw.line((x, TOP + HEIGHT, x, TOP + HEIGHT + TICK), INK, 2)
        draw.text((x, TOP + HEIGHT + 2 * TICK), str(second), INK, font, anchor="mt")
    draw.text((LEFT + WIDTH * (int(seconds) - 0.5) / seconds, TOP + HEIGHT + 2 * TICK), "s", INK, font, anchor="mt")
    return image.quantize(128)


if __name__ == "__main__":
    main()
