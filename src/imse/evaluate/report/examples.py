"""The worst files of a system, with spectrograms and players."""

from __future__ import annotations

from html import escape
from pathlib import Path

from imse.errors import ImseError
from imse.evaluate.frames import Float64s
from imse.evaluate.measures import MEASURES
from imse.evaluate.recordings import read
from imse.evaluate.report.media import audio_uri, loudest, spectrogram_uri
from imse.evaluate.results import Evaluation, System
from imse.signal.spectrum import SAMPLE_RATE

_WORST = 10
# Longer recordings would make the page too large for a browser.
_MOST_SECONDS = 20
# The best-known measures, shown of each system and of each file.
HEADLINES = ("pesq_wb", "covl", "stoi", "si_sdr_db", "dnsmos_ovrl")


def worst(system: System, measure: str) -> list[int]:
    """Positions of the ten files with the worst scores, the worst first; files without a score are not among them."""
    quality = MEASURES[measure].quality
    scored = [position for position, file in enumerate(system.files) if measure in file.values]
    return sorted(scored, key=lambda position: quality(system.files[position].values[measure]))[:_WORST]


def example(evaluation: Evaluation, system: System, position: int, colour: str) -> str:
    """One file as noisy, enhanced and clean, each with its spectrogram and player, all to the same scale."""
    pair = evaluation.pairs[position]
    versions = [("noisy", pair.noisy, "noisy")] if pair.noisy else []
    versions += [(system.name, pair.enhanced[evaluation.enhanced.index(system)], colour), ("clean", pair.clean, "")]
    reference = loudest(_excerpt(pair.clean))
    shown = "".join(version(name, _excerpt_or_reason(path), key, reference) for name, path, key in versions)
    return (
        f'<article class="file card"><header><b>{escape(pair.id)}</b>{_facts(evaluation, system, position)}</header>'
        f'<div class="versions">{shown}</div></article>'
    )


def _facts(evaluation: Evaluation, system: System, position: int) -> str:
    snr_db = evaluation.pairs[position].snr_db
    facts = [] if snr_db is None else [f"input {snr_db:g} dB"]
    for measure in HEADLINES:
        if measure in (values := system.files[position].values):
            before = evaluation.noisy.files[position].values.get(measure) if evaluation.noisy else None
            change = f"{values[measure]:#.3g}" if before is None else f"{before:#.3g} → {values[measure]:#.3g}"
            facts.append(f"{MEASURES[measure].label} {change}")
    return "".join(f"<small>{escape(fact)}</small>" for fact in facts)


def version(name: str, signal: Float64s | str, colour: str, reference: float) -> str:
    """One version of a recording, with its spectrogram and player.

    Args:
        name: What it is.
        signal: [samples] at 16 kHz; or the reason why it is not there.
        colour: Class of its colour.
        reference: Power of the loudest bin, of all versions.
    """
    key = f'<p><span class="key {colour}"><span>{escape(name)}</span></span></p>'
    if isinstance(signal, str):
        return f'<div class="version">{key}<p>{escape(signal)}</p></div>'
    return (
        f'<div class="version">{key}<div class="picture">'
        f'<img alt="Spectrogram of {escape(name)}" src="{spectrogram_uri(signal, reference)}">'
        f'<i></i><span class="top">8 kHz</span><span class="bottom">0 to {len(signal) / SAMPLE_RATE:.1f} s</span></div>'
        f'<audio controls preload="metadata" src="{audio_uri(signal)}"></audio></div>'
    )


def _excerpt_or_reason(path: Path) -> Float64s | str:
    try:
        return _excerpt(path)
    except ImseError as error:
        return str(error)


def _excerpt(path: Path) -> Float64s:
    return read(path)[: _MOST_SECONDS * SAMPLE_RATE]
