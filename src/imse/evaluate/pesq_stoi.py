"""Measures whose reference is a library: PESQ (`pesq`) and STOI (`pystoi`)."""

from __future__ import annotations

import warnings
from typing import Literal

from imse.evaluate.errors import Unscorable
from imse.evaluate.frames import AnyFloats
from imse.signal.spectrum import SAMPLE_RATE

# ITU's code keeps 50 utterances and writes past them without a check; speech has fewer than one a second.
PESQ_LONGEST_SECONDS = 50
# STOI compares stretches of 30 frames of 25.6 ms, half overlapped.
_STOI_LEAST_SAMPLES = round(31 * 0.0128 * SAMPLE_RATE)


def pesq(clean: AnyFloats, enhanced: AnyFloats, band: Literal["wb", "nb"]) -> float:
    """Perceptual evaluation of speech quality as MOS-LQO: ITU-T P.862.2 (wide-band) or P.862.1 (narrow-band).

    Args:
        clean: [samples] at 16 kHz.
        enhanced: [samples] at 16 kHz.
        band: "wb" or "nb".

    Raises:
        Unscorable: Shorter than a quarter of a second, longer than 50 seconds, or without speech.
    """
    import pesq as itu

    if len(clean) > PESQ_LONGEST_SECONDS * SAMPLE_RATE:
        raise Unscorable(f"longer than {PESQ_LONGEST_SECONDS} s, where ITU's PESQ may overflow")
    try:
        return float(itu.pesq(SAMPLE_RATE, clean, enhanced, band))
    except itu.PesqError as error:
        raise Unscorable(_message(error)) from error
    except ValueError as error:  # a level of 0 or NaN inside, as of direct current
        raise Unscorable(f"undefined: {error}") from error


def _message(error: Exception) -> str:
    text = error.args[0] if error.args else type(error).__name__
    return text.decode() if isinstance(text, bytes) else str(text)


def stoi(clean: AnyFloats, enhanced: AnyFloats, extended: bool = False) -> float:
    """Short-time objective intelligibility, Taal et al. (2011), or extended, Jensen and Taal (2016); 1 at best.

    Args:
        clean: [samples] at 16 kHz.
        enhanced: [samples] at 16 kHz.
        extended: Whether to compute the extended measure.

    Raises:
        Unscorable: Fewer than 30 frames with speech, 0.4 seconds.
    """
    import pystoi

    if len(clean) < _STOI_LEAST_SAMPLES:
        raise Unscorable("shorter than 0.4 s")
    with warnings.catch_warnings():
        # The library warns and returns 1e-5, which would pass for a score.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(pystoi.stoi(clean, enhanced, SAMPLE_RATE, extended))
        except RuntimeWarning as warning:
            too_short = "Not enough STFT frames" in str(warning)
            raise Unscorable("less than 0.4 s of speech" if too_short else f"undefined: {warning}") from warning
