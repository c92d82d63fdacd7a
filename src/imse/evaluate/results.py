"""Results of an evaluation: scores of every file, their summaries, and systems compared file by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from statistics import fmean

from imse.evaluate.measures import MEASURES
from imse.evaluate.pairs import Pair
from imse.evaluate.statistics import bootstrap

NOISY = "noisy"
# With more values of the SNR than this, a cell spans 5 dB.
_MOST_CELLS = 6
_CELL_DB = 5


@dataclass(frozen=True)
class FileScores:
    """Scores of one file.

    Attributes:
        id: The pair's name.
        values: Score by measure.
        missing: Reason by measure, for each that could not be computed.
        delay_samples: Samples at 16 kHz by which the file comes after the clean one; None where either is silent.
        removed_samples: Of this delay, what was removed before scoring: all of it, or 0 if that was not asked for.
        cut_samples: Samples of the clean file that were not scored, because the file has no counterpart to them.
    """

    id: str
    values: dict[str, float]
    missing: dict[str, str]
    delay_samples: int | None
    removed_samples: int = 0
    cut_samples: int = 0


@dataclass(frozen=True)
class System:
    """One folder's files, in the order of the pairs."""

    name: str
    folder: Path
    files: tuple[FileScores, ...]


@dataclass(frozen=True)
class Summary:
    """One measure over one system's files: those without a score are counted, and no part of any mean.

    Attributes:
        scored: Files with a score.
        mean: Their mean; None without any.
        low: Lower end of the mean's 95 % bootstrap interval; None with fewer than two.
        high: Its upper end.
        missing: Number of files without a score, by reason.
        cells: Mean by cell of input SNR, None where no file of it has a score; empty without SNRs.
        mean_of_cells: Mean of those means, each cell weighing the same; None if one is missing.
    """

    scored: int
    mean: float | None
    low: float | None
    high: float | None
    missing: dict[str, int]
    cells: dict[str, float | None]
    mean_of_cells: float | None


@dataclass(frozen=True)
class Comparison:
    """One measure of two systems, over the files that both have scores of.

    Attributes:
        measure: The measure.
        first: Name of one system.
        second: Name of the other.
        files: Number of files.
        wins: Files in which the second is better.
        losses: Files in which the first is better; the others are ties.
        mean: Mean of the second's score minus the first's.
        low: Lower end of its 95 % bootstrap interval; None with fewer than two files.
        high: Its upper end.
    """

    measure: str
    first: str
    second: str
    files: int
    wins: int
    losses: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Evaluation:
    """Everything that was scored.

    Attributes:
        measures: Names of the measures, as in `imse.evaluate.MEASURES`.
        pairs: The files, sorted by name.
        enhanced: The systems, in the order given.
        noisy: The unprocessed input, if given.
        aligned: Whether delays were removed before scoring.
    """

    measures: tuple[str, ...]
    pairs: tuple[Pair, ...]
    enhanced: tuple[System, ...]
    noisy: System | None = None
    aligned: bool = False

    @property
    def systems(self) -> tuple[System, ...]:
        """The noisy input, if given, and the enhanced systems."""
        return (self.noisy, *self.enhanced) if self.noisy else self.enhanced

    @cached_property
    def cells(self) -> dict[str, tuple[int, ...]]:
        """Positions of the files in each cell of input SNR, by label, from low to high; empty without SNRs."""
        snrs = sorted({pair.snr_db for pair in self.pairs if pair.snr_db is not None})
        by_start: dict[float, list[int]] = {}
        for position, pair in enumerate(self.pairs):
            if pair.snr_db is not None:
                start = pair.snr_db if len(snrs) <= _MOST_CELLS else pair.snr_db // _CELL_DB * _CELL_DB
                by_start.setdefault(start, []).append(position)
        wide = " to {:g}" if len(snrs) > _MOST_CELLS else ""
        return {f"{start:g}{wide.format(start + _CELL_DB)} dB": tuple(by_start[start]) for start in sorted(by_start)}

    def summary(self, system: System, measure: str) -> Summary:
        """Mean of a measure over a system's files, its interval and cells."""
        scores = [file.values.get(measure) for file in system.files]
        present = [value for value in scores if value is not None]
        mean, low, high = bootstrap(present) if present else (None, None, None)
        missing = Counter(file.missing[measure] for file in system.files if measure in file.missing)
        cells = {label: _mean([scores[position] for position in where]) for label, where in self.cells.items()}
        whole = bool(cells) and None not in cells.values()
        mean_of_cells = _mean(list(cells.values())) if whole else None
        return Summary(len(present), mean, low, high, dict(missing), cells, mean_of_cells)

    def comparisons(self, measure: str) -> tuple[Comparison, ...]:
        """Each system against each that comes before it, file by file; the noisy input comes first."""
        found = (_compare(measure, first, second) for first, second in combinations(self.systems, 2))
        return tuple(comparison for comparison in found if comparison)


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return fmean(present) if present else None


def _compare(measure: str, first: System, second: System) -> Comparison | None:
    both = [
        (a.values[measure], b.values[measure])
        for a, b in zip(first.files, second.files, strict=True)
        if measure in a.values and measure in b.values
    ]
    if not both:
        return None
    quality = MEASURES[measure].quality
    wins = sum(quality(b) > quality(a) for a, b in both)
    losses = sum(quality(b) < quality(a) for a, b in both)
    interval = bootstrap([b - a for a, b in both])
    return Comparison(measure, first.name, second.name, len(both), wins, losses, *interval)
