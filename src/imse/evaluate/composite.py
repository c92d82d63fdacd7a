"""Composite measures: predicted listeners' ratings of the speech, the background and the whole, from 1 to 5.

The regressions of Hu and Loizou, "Evaluation of objective quality measures for speech enhancement", IEEE TASLP 16(1),
2008, on PESQ (wide-band, as in every table for 16 kHz), LLR, WSS and segmental SNR in dB.
"""

from __future__ import annotations


def csig(pesq: float, llr: float, wss: float) -> float:
    """Predicted rating of the signal's distortion."""
    return _within_scale(3.093 - 1.029 * llr + 0.603 * pesq - 0.009 * wss)


def cbak(pesq: float, wss: float, ssnr_db: float) -> float:
    """Predicted rating of the background's intrusiveness."""
    return _within_scale(1.634 + 0.478 * pesq - 0.007 * wss + 0.063 * ssnr_db)


def covl(pesq: float, llr: float, wss: float) -> float:
    """Predicted rating of the overall quality."""
    return _within_scale(1.594 + 0.805 * pesq - 0.512 * llr - 0.007 * wss)


def _within_scale(rating: float) -> float:
    return min(5.0, max(1.0, rating))
