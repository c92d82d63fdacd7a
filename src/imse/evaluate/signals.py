"""A pair of signals to compare, with all measures of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from imse.evaluate import composite, frames, llr, pesq_stoi, snr, spectral, wss
from imse.evaluate.dnsmos import Rating, dnsmos
from imse.evaluate.errors import Unscorable
from imse.evaluate.frames import Float64s

# The composite measures leave out the worst frames of LLR and WSS.
_KEPT_FRAMES = 0.95


@dataclass(frozen=True)
class Signals:
    """The clean signal and the enhanced one, [samples] each at 16 kHz, as long as each other.

    Every property computes one measure when first asked for, and raises `Unscorable` where there is no score.
    """

    clean: Float64s
    enhanced: Float64s

    @cached_property
    def pesq_wb(self) -> float:
        """PESQ wide-band (ITU-T P.862.2), MOS-LQO from 1.0 to 4.6."""
        return pesq_stoi.pesq(self.clean, self.enhanced, "wb")

    @cached_property
    def pesq_nb(self) -> float:
        """PESQ narrow-band (ITU-T P.862.1), MOS-LQO from 1.0 to 4.5."""
        return pesq_stoi.pesq(self.clean, self.enhanced, "nb")

    @cached_property
    def stoi(self) -> float:
        """Short-time objective intelligibility."""
        return pesq_stoi.stoi(self.clean, self.enhanced)

    @cached_property
    def estoi(self) -> float:
        """Extended short-time objective intelligibility."""
        return pesq_stoi.stoi(self.clean, self.enhanced, extended=True)

    @cached_property
    def llr(self) -> float:
        """Log-likelihood ratio, 0 at best: mean of the best 95 % of frames."""
        return _trimmed_mean(llr.log_likelihood_ratio(*self._power))

    @cached_property
    def wss(self) -> float:
        """Weighted spectral slope distance, 0 at best: mean of the best 95 % of frames."""
        return _trimmed_mean(wss.weighted_spectral_slope(*self._power))

    @cached_property
    def ssnr_db(self) -> float:
        """Segmental signal-to-noise ratio in dB, from -10 to 35."""
        return float(snr.segmental_snr(*self._frames).mean())

    @cached_property
    def fwsnrseg_db(self) -> float:
        """Frequency-weighted segmental signal-to-noise ratio in dB, from -10 to 35."""
        return float(snr.frequency_weighted_snr(*self._power).mean())

    @cached_property
    def csig(self) -> float:
        """Composite rating of the speech, from 1 to 5."""
        return composite.csig(self.pesq_wb, self.llr, self.wss)

    @cached_property
    def cbak(self) -> float:
        """Composite rating of the background, from 1 to 5."""
        return composite.cbak(self.pesq_wb, self.wss, self.ssnr_db)

    @cached_property
    def covl(self) -> float:
        """Composite rating of the whole, from 1 to 5."""
        return composite.covl(self.pesq_wb, self.llr, self.wss)

    @cached_property
    def si_sdr_db(self) -> float:
        """Scale-invariant signal-to-distortion ratio in dB, from -100 to 100."""
        return snr.si_sdr(self.clean, self.enhanced)

    @cached_property
    def lsd_db(self) -> float:
        """Log-spectral distance in dB, 0 at best."""
        if len(self.clean) < spectral.LEAST_SAMPLES:
            raise Unscorable(f"shorter than {spectral.LEAST_SAMPLES} samples")
        return spectral.log_spectral_distance(self.clean, self.enhanced)

    @cached_property
    def level_db(self) -> float:
        """Level of the enhanced signal over the clean one in dB."""
        return spectral.level_change(self.clean, self.enhanced)

    @cached_property
    def dnsmos(self) -> Rating:
        """Ratings that DNSMOS P.835 predicts for the enhanced signal, without the clean one."""
        return dnsmos(self.enhanced)

    @cached_property
    def _frames(self) -> tuple[Float64s, Float64s]:
        if frames.frame_count(len(self.clean)) == 0:
            raise Unscorable(f"shorter than {frames.FRAME_LENGTH + frames.HOP_LENGTH} samples")
        return frames.frames(self.clean), frames.frames(self.enhanced)

    @cached_property
    def _power(self) -> tuple[Float64s, Float64s]:
        clean, enhanced = self._frames
        return frames.power_spectrum(clean), frames.power_spectrum(enhanced)


def _trimmed_mean(distances: Float64s) -> float:
    """Mean of the smallest 95 % of the frames' distances [T]."""
    return float(np.sort(distances)[: round(_KEPT_FRAMES * len(distances))].mean())
