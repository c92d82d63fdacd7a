"""Scores of weights on recordings unlike the test sets: does enhancement harm them?

    python benchmarks/harm.py RECIPE --data FOLDER [--weights NAME|FILE] [--music FILE ...]

Voices and noises are those that the recipe holds out. Every condition is scored against the clean speech, before and
after enhancement. Word errors are those of PocketSphinx (`pip install pocketsphinx jiwer`; the package has its model)
relative to its own transcript of the clean recording, so that they count only changes by noise and enhancement.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from held_out import level_and_pauses, mean, mixtures, print_header, print_row, scores
from imse.enhancer import Enhancer
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.train.augment import clip_peaks, convolve, mu_law
from imse.train.manifest import Recording
from imse.train.recipe_file import read
from imse.train.rooms import simulate
from imse.train.validation import Utterance
from imse.weights import DEFAULT

SEED = 11
DUTCH = "nathalie"  # all other voices are English

Change = Callable[[Utterance, int], Utterance]  # of a mixture and its number


def in_rooms(count: int) -> Change:
    """Speech in simulated rooms. The clean speech has the direct sound and the first 50 ms of the response."""
    responses, early = simulate(count, SEED)

    def change(utterance: Utterance, number: int) -> Utterance:
        speech, noise = torch.from_numpy(utterance.clean), utterance.noisy - utterance.clean
        wet, target = (convolve(speech[None], r[number : number + 1])[0].numpy() for r in (responses, early))
        return Utterance(wet + noise, target)

    return change


def clipped(utterance: Utterance, _: int) -> Utterance:
    """Peaks cut at a quarter of the highest one."""
    noisy = torch.from_numpy(utterance.noisy)[None]
    return replace(utterance, noisy=clip_peaks(noisy, torch.full((1, 1), 0.25))[0].numpy())


def by_telephone(utterance: Utterance, _: int) -> Utterance:
    """Band limited to 4 kHz and quantised to 8 bits; the clean speech is band limited, too."""
    narrow = [soxr.resample(x, SAMPLE_RATE, 8_000) for x in (utterance.noisy, utterance.clean)]
    peak = float(np.abs(narrow[0]).max())
    narrow[0] = mu_law(torch.from_numpy(narrow[0] / peak)).numpy() * peak
    noisy, clean = (soxr.resample(x, 8_000, SAMPLE_RATE)[: len(utterance.clean)] for x in narrow)
    return Utterance(np.resize(noisy, utterance.clean.shape), np.resize(clean, utterance.clean.shape))


def scaled(gain_db: float) -> Change:
    """Recorded at another level."""
    gain = np.float32(10 ** (gain_db / 20))
    return lambda utterance, _: Utterance(utterance.noisy * gain, utterance.clean * gain)


def unchanged(utterance: Utterance, _: int) -> Utterance:
    """The mixture as it is."""
    return utterance


def report(name: str, pairs: Iterable[tuple[Utterance, Floats]]) -> None:
    """Print the scores of enhanced utterances, before and after."""
    pairs = list(pairs)
    noisy, enhanced = [scores(u, u.noisy) for u, _ in pairs], [scores(u, x) for u, x in pairs]
    means = [
        f"{mean(noisy, key):.{digits}f} -> {mean(enhanced, key):.{digits}f}"
        for key, digits in (("pesq_wb", 2), ("stoi", 3), ("si_sdr_db", 1))
    ]
    print_row(name, *means, *level_and_pauses(enhanced))


def word_errors(pairs: Iterable[tuple[Utterance, Floats]]) -> tuple[float, float]:
    """Word error rate of the noisy and of the enhanced speech against the transcript of the clean speech."""
    import jiwer
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=float(SAMPLE_RATE), loglevel="FATAL")

    def transcript(waveform: Floats) -> str:
        decoder.start_utt()
        pcm = np.clip(waveform / max(float(np.abs(waveform).max()), 1e-9) * 20_000, -32_768, 32_767).astype(np.int16)
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        return decoder.hyp().hypstr if decoder.hyp() else ""

    references, noisy, enhanced = [], [], []
    for utterance, output in pairs:
        if reference := transcript(utterance.clean):
            references.append(reference)
            noisy.append(transcript(utterance.noisy))
            enhanced.append(transcript(output))
    return jiwer.wer(references, noisy), jiwer.wer(references, enhanced)


def main() -> None:
    """Print a row for each condition."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data", metavar="FOLDER", help="of the recipe's recordings")
    parser.add_argument("--weights", default=DEFAULT)
    parser.add_argument("--count", type=int, default=20, help="mixtures of each condition")
    parser.add_argument("--music", nargs="*", type=Path, default=[])
    arguments = parser.parse_args()
    recipe = read(arguments.recipe, data=arguments.data)
    enhancer = Enhancer(arguments.weights)

    def at(snr_db: float, voices: Callable[[Recording], bool] = lambda _: True) -> list[Utterance]:
        return mixtures(recipe, arguments.count, (snr_db,), SEED, voices)

    def enhanced(utterances: Iterable[Utterance]) -> Iterator[tuple[Utterance, Floats]]:
        return ((u, enhancer.enhance(u.noisy, SAMPLE_RATE)) for u in utterances)

    print_header("condition")
    plain = at(10)
    report("clean speech", enhanced(replace(u, noisy=u.clean) for u in plain))
    for snr_db in (-5, 0, 5):
        report(f"{snr_db} dB", enhanced(at(snr_db)))
    changes = {
        "10 dB": unchanged,
        "10 dB, in rooms": in_rooms(arguments.count),
        "10 dB, clipped": clipped,
        "10 dB, telephone": by_telephone,
        "10 dB, 40 dB quieter": scaled(-40),
        "10 dB, 40 dB louder": scaled(40),
    }
    for name, change in changes.items():
        report(name, enhanced(change(u, number) for number, u in enumerate(plain)))
    report("10 dB, Dutch", enhanced(at(10, lambda voice: voice.label == DUTCH)))
    for path in arguments.music:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        music = soxr.resample(samples[: 30 * rate].mean(1), rate, SAMPLE_RATE).astype(np.float32)
        report(f"music, {path.stem}", enhanced([Utterance(music, music)]))
    for snr_db in (0, 10):
        noisy, after = word_errors(enhanced(at(snr_db, lambda voice: voice.label != DUTCH)))
        print(f"\nWord errors at {snr_db} dB, English: {noisy:.1%} noisy, {after:.1%} enhanced")


if __name__ == "__main__":
    main()
