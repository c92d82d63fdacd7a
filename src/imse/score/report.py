"""Scores as one HTML page that needs nothing but itself: the table, warnings, and recordings to see and hear."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imse.audio import open_reader
from imse.errors import ImseError, describe
from imse.evaluate.report.document import LISTENING, document, table
from imse.evaluate.report.examples import version
from imse.evaluate.report.media import loudest
from imse.evaluate.writers import write_text
from imse.score.columns import COLUMNS, EXPLAINED, NONE, notes, rows
from imse.score.run import Score
from imse.signal.resample import resample_stream
from imse.signal.spectrum import SAMPLE_RATE

# More would make the page too large for a browser.
_MOST_RECORDINGS = 20
_MOST_SECONDS = 20


def write_report(scores: Sequence[Score], path: Path) -> None:
    """Write scores as one HTML page that fetches nothing, whole or not at all."""
    body = _table(scores) + _notes(scores) + _players(scores)
    count = f"{len(scores)} recordings" if len(scores) > 1 else "1 recording"
    write_text(document("Quality of recordings", "Recordings, scored without a reference", [count], body), path)


def _table(scores: Sequence[Score]) -> str:
    found = [
        (name, [escape(show(quality)) if quality else NONE for show in COLUMNS.values()])
        for score in scores
        for name, quality in rows(score)
    ]
    return f"<p>{escape(EXPLAINED)}</p>" + table(["recording", *COLUMNS], found)


def _notes(scores: Sequence[Score]) -> str:
    harmed = notes(scores)
    errors = [error for score in scores for error in score.errors]
    parts = []
    for heading, lines in (("Listen to these", harmed), ("Could not be read, or not to the end", errors)):
        if lines:
            parts.append(f"<h2>{heading}</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>")
    return "".join(parts)


def _players(scores: Sequence[Score]) -> str:
    """Players of recordings: of those with warnings first, then of those with the lowest rating."""
    readable = [score for score in scores if score.quality]
    shown = sorted(readable, key=lambda score: (not score.warnings, _rating(score)))[:_MOST_RECORDINGS]
    if not shown:
        return ""
    rest = f" The first {len(shown)} of {len(readable)}." if len(shown) < len(readable) else ""
    order = (
        f"<p>Those with warnings first, then those with the lowest OVRL.{rest} The first {_MOST_SECONDS} s of each.</p>"
    )
    return f"<h2>Listen</h2>{order}{LISTENING}{''.join(map(_player, shown))}"


def _rating(score: Score) -> float:
    return score.quality.dnsmos_ovrl or 0 if score.quality else 0


def _player(score: Score) -> str:
    names = [("before", score.item.before, "noisy"), ("after", score.item.path, "s0")]
    shown = [(name, path, colour) for name, path, colour in names if path]
    excerpts = [_excerpt(path) for _, path, _ in shown]
    signals = [excerpt for excerpt in excerpts if not isinstance(excerpt, str)]
    reference = max((loudest(signal) for signal in signals), default=1.0)
    versions = "".join(
        version(name if score.item.before else "recording", excerpt, colour, reference)
        for (name, _, colour), excerpt in zip(shown, excerpts, strict=True)
    )
    return (
        f'<article class="file card"><header><b>{escape(score.item.name)}</b></header>'
        f'<div class="versions">{versions}</div></article>'
    )


def _excerpt(path: Path) -> NDArray[np.float64] | str:
    """The mean of the channels of the first seconds, [samples] at 16 kHz; or the reason why there are none."""
    try:
        with open_reader(path) as reader:
            rate = reader.info.sample_rate
            mixed = (block.mean(axis=1, keepdims=True) for block in islice(reader.blocks(rate), _MOST_SECONDS))
            blocks = [block[:, 0] for block in resample_stream(mixed, rate, SAMPLE_RATE, 1)]
    except (ImseError, OSError) as error:
        return describe(error)
    return np.concatenate([*blocks, np.empty(0)]).astype(np.float64)
