"""The numbers of a score as people read them, in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from imse.score.noise import LOWEST_DB
from imse.score.recording import Quality
from imse.score.run import Score

NONE = "–"  # noqa: RUF001 - the dash of an empty cell

COLUMNS: dict[str, Callable[[Quality], str]] = {
    "SIG": lambda quality: _number(quality.dnsmos_sig, 2),
    "BAK": lambda quality: _number(quality.dnsmos_bak, 2),
    "OVRL": lambda quality: _number(quality.dnsmos_ovrl, 2),
    "noise dBFS": lambda quality: _floor(quality.noise_floor_db),
    "SNR dB": lambda quality: _number(quality.snr_db, 0),
    "clip %": lambda quality: _share(quality.clipped_share),
    "loud LUFS": lambda quality: _number(quality.loudness_lufs, 1),
    "band kHz": lambda quality: _number(quality.bandwidth_hz and quality.bandwidth_hz / 1000, 1),
}
"""Heads of the columns, and what is in them."""

EXPLAINED = (
    "SIG, BAK, OVRL: DNSMOS ratings of speech, background, whole, 1 to 5. noise: in the pauses. SNR: estimated. "
    "clip: samples at full scale. band: highest frequency with content."
)


def rows(score: Score) -> Iterator[tuple[str, Quality | None]]:
    """Names and qualities of a score: of the recording before enhancement, if there is one, and of the recording."""
    if score.item.before:
        yield (Path(score.item.name).parent / score.item.before.name).as_posix(), score.before
        yield f"→ {score.item.name}", score.quality
    else:
        yield score.item.name, score.quality


def notes(scores: Sequence[Score]) -> list[str]:
    """Sentences on what seems to be harmed."""
    return [f"{score.item.name}: {warning}" for score in scores for warning in score.warnings]


def _number(value: float | None, decimals: int) -> str:
    return NONE if value is None else f"{value:.{decimals}f}"


def _floor(level_db: float | None) -> str:
    return f"<{LOWEST_DB:.0f}" if level_db is not None and level_db <= LOWEST_DB else _number(level_db, 0)


def _share(share: float) -> str:
    """A share in percent; 0 only if it is none."""
    percent = 100 * share
    return "0" if not percent else "<0.01" if percent < 0.01 else f"{percent:.2f}"
