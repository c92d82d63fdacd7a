"""Make the noise of this corpus, five types of six seconds, beside this file: python recipes/tiny/make_noise.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 16_000
SECONDS = 6.0
SAMPLES = int(SECONDS * RATE)
TIME = np.arange(SAMPLES) / RATE

Wave = NDArray[np.float64]


def shaped(rng: np.random.Generator, gain: Callable[[Wave], Wave]) -> Wave:
    """White noise whose amplitude at each frequency in Hz is given."""
    spectrum = np.fft.rfft(rng.standard_normal(SAMPLES)) * gain(np.fft.rfftfreq(SAMPLES, 1 / RATE))
    return np.asarray(np.fft.irfft(spectrum, SAMPLES))


def clicks(rng: np.random.Generator, count: int, decay_s: float, low_hz: float, high_hz: float) -> Wave:
    """Damped tones at random times, as of drops and keys."""
    wave = np.zeros(SAMPLES)
    length = int(6 * decay_s * RATE)
    time = np.arange(length) / RATE
    for start in rng.integers(0, SAMPLES - length, count):
        tone = np.sin(2 * np.pi * rng.uniform(low_hz, high_hz) * time) * np.exp(-time / decay_s)
        wave[start : start + length] += rng.exponential() * tone
    return wave


def fan(rng: np.random.Generator) -> Wave:
    """Air, and the hum of a motor at 50 Hz and its multiples."""
    hum = sum(np.sin(2 * np.pi * 50 * n * TIME) / n for n in (1, 2, 3, 6))
    return shaped(rng, lambda f: 1 / (1 + (f / 400) ** 2)) * 8 + 0.4 * hum


def rain(rng: np.random.Generator) -> Wave:
    """A hiss, and drops."""
    return shaped(rng, lambda f: f / (f + 1_500)) + 2 * clicks(rng, 900, 0.002, 2_000, 7_000)


def keyboard(rng: np.random.Generator) -> Wave:
    """Keys in a quiet room."""
    return clicks(rng, 40, 0.006, 800, 4_000) + 0.02 * shaped(rng, lambda f: 1 / (1 + f / 200))


def traffic(rng: np.random.Generator) -> Wave:
    """Low noise that swells as cars pass."""
    swell = 0.3 + np.sin(np.pi * TIME / 3.1) ** 4
    return swell * shaped(rng, lambda f: 1 / (1 + (f / 150) ** 1.5))


def machine(rng: np.random.Generator) -> Wave:
    """Broad noise in the rhythm of an engine."""
    rhythm = 1 + 0.8 * np.sign(np.sin(2 * np.pi * 6.5 * TIME))
    return rhythm * shaped(rng, lambda f: np.exp(-(((f - 900) / 700) ** 2)))


def main() -> None:
    """Write every type as Ogg Opus, at -26 dB of full scale."""
    folder = Path(__file__).parent / "noise"
    folder.mkdir(exist_ok=True)
    for seed, make in enumerate((fan, rain, keyboard, traffic, machine)):
        wave = make(np.random.default_rng(seed))
        wave *= 0.05 / np.sqrt(np.mean(wave**2))
        soundfile.write(folder / f"{make.__name__}.opus", wave.clip(-1, 1), RATE, format="OGG", subtype="OPUS")


if __name__ == "__main__":
    main()
