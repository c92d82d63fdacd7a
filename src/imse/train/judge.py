"""PESQ of a step's estimates, in worker processes that overlap with the next step."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imse.spectrum import SAMPLE_RATE
from imse.train.discriminator import Judged


def quality(clean: NDArray[np.float32], estimate: NDArray[np.float32]) -> float:
    """Wide-band PESQ mapped from [1, 4.5] to [0, 1]; nan where it cannot be computed (no speech, say)."""
    from pesq import PesqError, pesq

    peak = max(float(np.abs(clean).max()), float(np.abs(estimate).max()), 1e-6)
    try:
        return (float(pesq(SAMPLE_RATE, clean / peak, estimate / peak, "wb")) - 1) / 3.5
    except (PesqError, ValueError):
        return float("nan")


class Judge:
    """Hands estimates to PESQ and returns them, judged, one step later.

    Args:
        workers: Processes.
    """

    def __init__(self, workers: int) -> None:
        # Spawned, not forked: a fork of a process that has used CUDA or threads is not safe.
        self._pool = ProcessPoolExecutor(max(1, workers), mp_context=multiprocessing.get_context("spawn"))
        self._waiting: tuple[Tensor, Tensor, Sequence[Future[float]]] | None = None

    def submit(self, clean: Tensor, estimate: Tensor, waveforms: tuple[Tensor, Tensor]) -> None:
        """Start judging a batch.

        Args:
            clean: Compressed magnitudes [B, bins, T].
            estimate: Compressed magnitudes [B, bins, T].
            waveforms: Clean and estimated waveforms [B, samples].
        """
        sound, estimated = (part.detach().cpu().numpy() for part in waveforms)
        futures = [self._pool.submit(quality, *pair) for pair in zip(sound, estimated, strict=True)]
        self._waiting = (clean.detach(), estimate.detach(), futures)

    def collect(self) -> Judged | None:
        """The batch that was submitted last, once its scores are there; None before the first."""
        if self._waiting is None:
            return None
        clean, estimate, futures = self._waiting
        scores = torch.tensor([future.result() for future in futures])
        return Judged(clean, estimate, scores.to(clean.device, non_blocking=True))

    def restore(self, judged: Judged) -> None:
        """Take back a judged batch of a checkpoint, as if it had just been submitted."""
        futures: list[Future[float]] = []
        for score in judged.quality.tolist():
            future: Future[float] = Future()
            future.set_result(score)
            futures.append(future)
        self._waiting = (judged.clean, judged.estimate, futures)

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)
