"""PESQ of a step's estimates, in worker processes that overlap with the next step."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import torch
from torch import Tensor

from imse.train.discriminator import ScoredBatch
from imse.train.quality import quality
from imse.workers import SpawnedPool


class PesqPool:
    """Hands estimates to PESQ and returns them with their scores one step later.

    Args:
        workers: Processes, at least one.
    """

    def __init__(self, workers: int) -> None:
        self._pool = SpawnedPool(workers)
        self._staged: tuple[Tensor, Tensor, Tensor, torch.cuda.Event | None] | None = None
        self._waiting: tuple[Tensor, Tensor, Sequence[Future[float]]] | None = None

    def stage(self, clean: Tensor, estimate: Tensor, waveforms: Tensor) -> None:
        """Start the copy of a batch to the CPU without waiting for it.

        Args:
            clean: Compressed magnitudes [B, bins, T].
            estimate: Compressed magnitudes [B, bins, T].
            waveforms: Clean and estimated waveforms [2, B, samples].
        """
        copied = None
        waveforms = waveforms.detach()
        if waveforms.is_cuda:
            here = torch.empty(waveforms.shape, pin_memory=True)
            here.copy_(waveforms, non_blocking=True)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record()
            waveforms = here
        self._staged = (clean.detach(), estimate.detach(), waveforms, copied)

    def submit(self) -> None:
        """Hand the staged batch over to PESQ; waits for its copy alone, not for what was queued after it."""
        assert self._staged is not None
        clean, estimate, waveforms, copied = self._staged
        if copied is not None:
            copied.synchronize()
        futures = [self._pool.submit(quality, *pair) for pair in waveforms.numpy().swapaxes(0, 1)]
        self._waiting = (clean, estimate, futures)
        self._staged = None

    def collect(self) -> ScoredBatch | None:
        """The batch that was submitted last, once its scores are there; None before the first."""
        if self._waiting is None:
            return None
        clean, estimate, futures = self._waiting
        scores = torch.tensor([future.result() for future in futures])
        return ScoredBatch(clean, estimate, scores.to(clean.device, non_blocking=True))

    def restore(self, scored: ScoredBatch) -> None:
        """Take back the scored batch of a checkpoint, as if it had just been submitted."""
        futures: list[Future[float]] = []
        for score in scored.quality.tolist():
            future: Future[float] = Future()
            future.set_result(score)
            futures.append(future)
        self._waiting = (scored.clean, scored.estimate, futures)

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)
