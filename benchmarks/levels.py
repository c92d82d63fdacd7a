"""At which level the network is given a segment: PESQ and STOI of rules, on recordings whose level is not steady.

    python benchmarks/levels.py RECIPE --data FOLDER [--weights NAME|FILE] [--count 6] [--kinds KIND ...]
        [--conditions NAME ...] [--rules NAME ...]

Voices and noises are those that the recipe holds out. PESQ and STOI are means over mixtures, scored one by one:

- steady: each mixture as it is, a recording of its own;
- DC: with 0.1 added;
- burst: 20 dB lower, with 10 ms of full-scale noise in the middle, which is not scored;
- joined: all mixtures one after the other;
- -20, -40 dB: at this level, after the same mixture at its own level.

The last column tells by how many dB noise alone is lowered, in 8 s after a mixture whose speech has no noise floor.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from held_out import SNR_DB, held_out
from imse.engine import AUTO, open_engine
from imse.engine.interface import Engine
from imse.evaluate.measures import score
from imse.signal.gain import limiting_gain
from imse.signal.level import Levelling
from imse.signal.segments import OverlappingSegments, run_in_segments
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.train.recipe_file import read
from imse.train.validation import Utterance

BURST = SAMPLE_RATE // 100
LEVELS_DB = (-20, -40)

Gain = Callable[[Floats], Floats]  # of segments [B, samples], at every sample
Rule = Callable[[Floats], Gain]  # made for a whole recording [samples]


class Recording(NamedTuple):
    """A noisy signal and its speech, [samples] each, and the positions of each part that is scored."""

    condition: str
    noisy: Floats
    clean: Floats
    parts: list[NDArray[np.int_]]


def mean_square(x: Floats) -> float:
    """The power of samples."""
    return float(np.square(x, dtype=np.float64).mean())


def one_gain(measured: Floats) -> Gain:
    """The same gain everywhere: what is measured comes to unit RMS."""
    return lambda segments: np.full_like(segments, 1 / np.sqrt(mean_square(measured)))


def levelled(range_db: float, window: int) -> Rule:
    """A gain that changes within the segment."""
    return lambda _: Levelling(range_db, window).gain


RULES: dict[str, Rule] = {
    "recording, with DC": one_gain,
    "recording": one_gain,
    "segment": lambda _: lambda segments: one_gain(segments)(segments),
    "levelled, 3 dB, 0.32 s": levelled(3, 16),
    "levelled, 6 dB, 0.32 s": levelled(6, 16),
    "levelled, 8 dB, 0.32 s": levelled(8, 16),
    "levelled, 10 dB, 0.32 s": levelled(10, 16),
    "levelled, 12 dB, 0.32 s": levelled(12, 16),
    "levelled, 15 dB, 0.32 s": levelled(15, 16),
    "levelled, 8 dB, 0.24 s": levelled(8, 12),
    "levelled, 8 dB, 0.48 s": levelled(8, 24),
}


def recordings(mixtures: dict[str, list[Utterance]]) -> Iterator[Recording]:
    """The recordings of all conditions."""
    together = [u for kind in mixtures.values() for u in kind]
    for u in together:
        yield Recording("steady", u.noisy, u.clean, [np.arange(len(u.noisy))])
    for u in together:
        yield Recording("DC", u.noisy + np.float32(0.1), u.clean, [np.arange(len(u.noisy))])
    draw = np.random.default_rng(1)
    for u in together:
        middle = len(u.noisy) // 2
        burst = draw.uniform(-1, 1, BURST).astype(np.float32)
        noisy, clean = u.noisy / np.float32(10), u.clean / np.float32(10)
        with_burst = np.concatenate([noisy[:middle], burst, noisy[middle:]])
        spaced = np.concatenate([clean[:middle], np.zeros_like(burst), clean[middle:]])
        around = np.arange(middle - 2 * BURST, middle + 3 * BURST)
        yield Recording("burst", with_burst, spaced, [np.delete(np.arange(len(spaced)), around)])
    noisy, clean = (np.concatenate([getattr(u, name) for u in together]) for name in ("noisy", "clean"))
    ends = np.cumsum([len(u.noisy) for u in together])
    parts = [np.arange(end - len(u.noisy), end) for u, end in zip(together, ends, strict=True)]
    yield Recording("joined", noisy, clean, parts)
    for level_db in LEVELS_DB:
        gain = np.float32(10 ** (level_db / 20))
        for u in together:
            noisy, clean = (np.concatenate([x, x * gain]) for x in (u.noisy, u.clean))
            yield Recording(f"{level_db} dB", noisy, clean, [np.arange(len(u.noisy), len(noisy))])
    for u in mixtures.get("denoised", ()):
        noise = np.resize(u.noisy - u.clean, 8 * SAMPLE_RATE)
        pause = np.arange(len(u.noisy) + SAMPLE_RATE // 2, len(u.noisy) + len(noise))
        silence = np.zeros_like(noise)
        yield Recording("pause", np.concatenate([u.noisy, noise]), np.concatenate([u.clean, silence]), [pause])


def enhance(engine: Engine, noisy: Floats, gain: Gain, with_dc: bool) -> Floats:
    """As `imse.Enhancer` does at 16 kHz, with another rule for the level."""

    def network(segments: list[Floats]) -> list[Floats]:
        rows = np.concatenate(segments, axis=1).T
        if not with_dc:
            rows = rows - rows.mean(1, keepdims=True)
        applied = gain(rows)
        enhanced = engine(rows * applied).waveform / applied
        return [(enhanced * limiting_gain([rows], enhanced)).T]

    blocks = run_in_segments([noisy[:, np.newaxis]], len(noisy), OverlappingSegments(), network)
    return np.concatenate(list(blocks))[:, 0]


def measured(recording: Recording, output: Floats) -> list[tuple[float, ...]]:
    """PESQ and STOI of every part; of a pause by how many dB it is lowered."""
    if recording.condition == "pause":
        before, after = (mean_square(x[recording.parts[0]]) for x in (recording.noisy, output))
        return [(10 * np.log10(before / max(after, 1e-20)),)]
    rows = [score(recording.clean[part], output[part], ("pesq_wb", "stoi")).values for part in recording.parts]
    return [(row["pesq_wb"], row["stoi"]) for row in rows]


def main() -> None:
    """Print a row for each rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data", metavar="FOLDER", help="of the recipe's recordings")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--count", type=int, default=6, help="mixtures of each of two kinds")
    parser.add_argument("--kinds", nargs="*", default=list(SNR_DB), help=f"of mixtures: {', '.join(SNR_DB)}")
    parser.add_argument("--conditions", nargs="*", help="default: all of the above")
    parser.add_argument("--rules", nargs="*", default=["noisy", *RULES], help=f"of {', '.join(RULES)}")
    arguments = parser.parse_args()
    engine = open_engine(AUTO, arguments.weights, threads=1)
    mixtures = {
        kind: u
        for kind, u in held_out(read(arguments.recipe, data=arguments.data), arguments.count).items()
        if kind in arguments.kinds
    }
    wanted = arguments.conditions
    signals = [signal for signal in recordings(mixtures) if not wanted or signal.condition in wanted]
    conditions = list(dict.fromkeys(signal.condition for signal in signals))
    print("| level | " + " | ".join(conditions) + " |")
    print("|---" * (1 + len(conditions)) + "|", flush=True)
    for name in arguments.rules:
        found: dict[str, list[tuple[float, ...]]] = {condition: [] for condition in conditions}
        for signal in signals:
            output = signal.noisy
            if name != "noisy":
                output = enhance(engine, output, RULES[name](output), name.endswith("with DC"))
            found[signal.condition] += measured(signal, output)
        means = [np.mean(rows, axis=0) for rows in found.values()]
        cells = [f"{row[0]:.3f} {row[1]:.4f}" if len(row) == 2 else f"{row[0]:.1f}" for row in means]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
