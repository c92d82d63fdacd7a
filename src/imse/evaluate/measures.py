"""The measures by name, and the scores of one pair of signals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from imse.evaluate.errors import EvaluationError, Unscorable
from imse.evaluate.frames import AnyFloats, Float64s
from imse.evaluate.signals import Signals

# A signal that never reaches one step of 16 bits is silence.
_SILENCE = 2**-15


@dataclass(frozen=True)
class Measure:
    """A measure: its key in results, its name and unit for people, and which way is better."""

    name: str
    label: str
    better: Literal["higher", "lower", "zero"]
    compute: Callable[[Signals], float]
    unit: str = ""
    needs_clean: bool = True

    def quality(self, score: float) -> float:
        """The score with its sign chosen so that larger is better."""
        return {"higher": score, "lower": -score, "zero": -abs(score)}[self.better]


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("pesq_wb", "PESQ wide-band", "higher", lambda s: s.pesq_wb),
        Measure("pesq_nb", "PESQ narrow-band", "higher", lambda s: s.pesq_nb),
        Measure("csig", "CSIG", "higher", lambda s: s.csig),
        Measure("cbak", "CBAK", "higher", lambda s: s.cbak),
        Measure("covl", "COVL", "higher", lambda s: s.covl),
        Measure("stoi", "STOI", "higher", lambda s: s.stoi),
        Measure("estoi", "Extended STOI", "higher", lambda s: s.estoi),
        Measure("si_sdr_db", "SI-SDR", "higher", lambda s: s.si_sdr_db, "dB"),
        Measure("ssnr_db", "Segmental SNR", "higher", lambda s: s.ssnr_db, "dB"),
        Measure("fwsnrseg_db", "fwSNRseg", "higher", lambda s: s.fwsnrseg_db, "dB"),
        Measure("llr", "LLR", "lower", lambda s: s.llr),
        Measure("wss", "WSS", "lower", lambda s: s.wss),
        Measure("lsd_db", "LSD", "lower", lambda s: s.lsd_db, "dB"),
        Measure("level_db", "Level change", "zero", lambda s: s.level_db, "dB"),
        Measure("dnsmos_sig", "DNSMOS SIG", "higher", lambda s: s.dnsmos.speech, needs_clean=False),
        Measure("dnsmos_bak", "DNSMOS BAK", "higher", lambda s: s.dnsmos.background, needs_clean=False),
        Measure("dnsmos_ovrl", "DNSMOS OVRL", "higher", lambda s: s.dnsmos.overall, needs_clean=False),
    )
}


@dataclass(frozen=True)
class Scores:
    """Scores of one pair of signals: each measure is in `values`, or in `missing` with the reason."""

    values: dict[str, float]
    missing: dict[str, str]


def select(names: Sequence[str] | None) -> tuple[str, ...]:
    """The measures asked for, in the order of `MEASURES`; all of them for None.

    Raises:
        EvaluationError: No name, or one that is not a measure.
    """
    if names is None:
        return tuple(MEASURES)
    unknown = [name for name in names if name not in MEASURES]
    if unknown or not names:
        raise EvaluationError(f"no such measure: '{', '.join(unknown)}'; there are {', '.join(MEASURES)}")
    return tuple(name for name in MEASURES if name in names)


def score(clean: AnyFloats, enhanced: AnyFloats, measures: Sequence[str] | None = None) -> Scores:
    """Score one signal against its clean original.

    Args:
        clean: [samples] at 16 kHz.
        enhanced: [samples] at 16 kHz, as long as `clean`.
        measures: Names out of `MEASURES`; all by default.

    Returns:
        The scores that exist, and the reason for each that does not.

    Raises:
        EvaluationError: Signals of several channels or different lengths; an unknown measure.
    """
    if clean.ndim != 1 or clean.shape != enhanced.shape:
        raise EvaluationError(
            f"signals of one channel and one length are compared, not {clean.shape}, {enhanced.shape}"
        )
    names = select(measures)
    signals = Signals(clean.astype(np.float64), enhanced.astype(np.float64))
    clean_fault, enhanced_fault = _fault("clean file", signals.clean), _fault("file", signals.enhanced)
    values, missing = {}, {}
    for name in names:
        measure = MEASURES[name]
        try:
            _raise_if(enhanced_fault or (clean_fault if measure.needs_clean else None))
            value = measure.compute(signals)
            _raise_if(None if math.isfinite(value) else "not a finite number")
            values[name] = value
        except Unscorable as reason:
            missing[name] = str(reason)
    return Scores(values, missing)


def _fault(which: str, signal: Float64s) -> str | None:
    if not len(signal):
        return f"{which} is empty"
    if not np.isfinite(signal).all():
        return f"{which} has samples that are not numbers"
    if np.abs(signal).max() < _SILENCE:
        return f"{which} is silent"
    return None


def _raise_if(reason: str | None) -> None:
    if reason is not None:
        raise Unscorable(reason)
