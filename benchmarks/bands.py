"""How much of the noise is left in each band: below the voice, and around the resampler's edge below 8 kHz.

    python benchmarks/bands.py RECIPE [--weights NAME|FILE] [--count N] [--network-alone]

Speech and noise are those that the recipe holds out. At 16 kHz they are enhanced as they are. At 48 kHz, the voice gets
a band above 8 kHz like its own from 4 to 8 kHz, as nothing in the corpus has one, and the noise is pink. A row has, for
one band, the level of the noisy speech, and by how much the power of what is not clean speech falls: in the pauses, and
while somebody speaks. `--network-alone` leaves the strip below 8 kHz as the network makes it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import soxr
from numpy.typing import NDArray

from held_out import held_out
from imse.enhancer import Enhancer
from imse.signal.spectrum import Floats
from imse.train.recipe_file import read
from imse.train.validation import Utterance
from imse.weights import DEFAULT

WIDE = 48_000
LOW = (0, 20, 40, 60, 80, 100, 150, 200)
BORDERS = {
    16_000: (*LOW, 1_000, 4_000, 7_000, 7_400, 7_500, 7_600, 7_700, 7_800, 7_900, 8_001),
    WIDE: (*LOW, 1_000, 4_000, 7_000, 7_400, 7_500, 7_600, 7_700, 7_800, 7_900, 8_000, 8_100, 8_200, 9_000, 12_000),
}
_FRAME_SECONDS = 0.064
_PAUSE_DB = -40.0


def spectra(x: Floats, sample_rate: int) -> NDArray[np.float64]:
    """Power spectra of frames of 64 ms, [frames, bins]."""
    size = round(_FRAME_SECONDS * sample_rate)
    frames = np.lib.stride_tricks.sliding_window_view(x, size)[:: size // 2]
    # Side lobes of a Hann window would leak the voice into the bands below it.
    return np.square(np.abs(np.fft.rfft(frames * np.blackman(size))))


def wide(utterances: Iterable[Utterance]) -> Iterator[Utterance]:
    """Speech with a band above 8 kHz, in pink noise at 10 dB."""
    random = np.random.default_rng(0)
    for utterance in utterances:
        clean = soxr.resample(utterance.clean, 16_000, WIDE)
        spectrum = np.fft.rfft(clean)
        moved = np.zeros_like(spectrum)
        low, edge, top = (round(hz * len(clean) / WIDE) for hz in (4_000, 8_000, 12_000))
        moved[edge:top] = spectrum[low : low + top - edge]
        clean = clean + np.fft.irfft(moved, len(clean))
        white = np.fft.rfft(random.standard_normal(len(clean)))
        noise = np.fft.irfft(white / np.sqrt(np.maximum(np.arange(len(white)), 1)), len(clean))
        noise *= np.sqrt(np.mean(clean**2) / np.mean(noise**2) / 10)
        yield Utterance((clean + noise).astype(np.float32), clean.astype(np.float32))


def report(name: str, utterances: Iterable[Utterance], sample_rate: int, enhancer: Enhancer) -> None:
    """Print a table of one kind of mixtures."""
    borders = np.array(BORDERS[sample_rate])
    names = ("noisy", "before", "after")
    powers: dict[tuple[str, bool], list[NDArray[np.float64]]] = {(key, p): [] for key in names for p in (False, True)}
    for utterance in utterances:
        enhanced = enhancer.enhance(utterance.noisy, sample_rate)
        clean = spectra(utterance.clean, sample_rate)
        bins = np.searchsorted(np.fft.rfftfreq(round(_FRAME_SECONDS * sample_rate), 1 / sample_rate), borders)
        level = clean.sum(1)
        pause = level < level.max() * 10 ** (_PAUSE_DB / 10)
        parts = utterance.noisy, utterance.noisy - utterance.clean, enhanced - utterance.clean
        for key, part in zip(names, parts, strict=True):
            bands = np.add.reduceat(spectra(part, sample_rate), bins[:-1], axis=1)
            for is_pause in (False, True):
                powers[key, is_pause].append(bands[pause == is_pause] / np.square(utterance.noisy).mean())
    mean = {key: np.concatenate(rows).mean(0) for key, rows in powers.items()}

    def db(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(10 * np.log10(x))

    print(f"\n| {name}: Hz | noisy speech, dB | noise in pauses, dB | in speech, dB |\n|---|---|---|---|")
    for i, (low, high) in enumerate(pairwise(borders)):
        change = {is_pause: db(mean["after", is_pause][i] / mean["before", is_pause][i]) for is_pause in (True, False)}
        level = db(mean["noisy", False][i]) - db(mean["noisy", False].sum())
        print(f"| {low} to {high} | {level:.1f} | {change[True]:+.1f} | {change[False]:+.1f} |", flush=True)


def main() -> None:
    """Print a table of each kind of mixtures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data", metavar="FOLDER", help="of the recipe's recordings")
    parser.add_argument("--weights", default=DEFAULT)
    parser.add_argument("--count", type=int, default=12, help="mixtures of each kind")
    parser.add_argument("--network-alone", action="store_true")
    arguments = parser.parse_args()
    if arguments.network_alone:
        patch("imse.enhancer.follow_guide", lambda _noisy, enhanced, _gain: enhanced).start()
    enhancer = Enhancer(arguments.weights)
    for kind, utterances in held_out(read(arguments.recipe, data=arguments.data), arguments.count).items():
        report(f"{kind}, 16 kHz", utterances, 16_000, enhancer)
        report(f"{kind}, 48 kHz", wide(utterances), WIDE, enhancer)


if __name__ == "__main__":
    main()
