"""The recordings of a run, decoded once and kept as one row of 16-bit samples on the training device.

The 6.5 hours of the default corpus take 750 MB. Segments are cut out by index, in batch, so no data loader is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imse.atomic_write import atomic_write
from imse.train.decode import FULL_SCALE, decode
from imse.train.manifest import Recording

_FRAME = 320  # 20 ms, the frame of the activity measure


@dataclass(frozen=True)
class Corpus:
    """Decoded recordings.

    Attributes:
        samples: All samples one after the other, int16 [total].
        starts: First sample of each recording, int64 [recordings].
        lengths: Samples of each recording, int64 [recordings].
        rms: Root mean square of each recording (full scale 1), float32 [recordings].
        active_rms: The same over its active 20 ms frames, those within 40 dB of the loudest one.
        recordings: What each recording is.
    """

    samples: Tensor
    starts: Tensor
    lengths: Tensor
    rms: Tensor
    active_rms: Tensor
    recordings: tuple[Recording, ...]

    def to(self, device: torch.device) -> Corpus:
        """The same corpus with its samples on another device; the tables stay on the CPU, where draws are made."""
        return replace(self, samples=self.samples.to(device))

    def cut(self, recording: Tensor, offset: Tensor, count: int) -> Tensor:
        """Cut one segment out of each of many recordings; what lies outside a recording is silence.

        Args:
            recording: Indices of recordings, int64 of any shape [...], on the CPU.
            offset: First sample relative to the recording's, may be negative, int64 [...], on the CPU.
            count: Samples per segment.

        Returns:
            Waveforms [..., count] of full scale 1 in float32 on the samples' device.
        """
        device = self.samples.device
        start = self.starts[recording].to(device, non_blocking=True).unsqueeze(-1)
        length = self.lengths[recording].to(device, non_blocking=True).unsqueeze(-1)
        position = offset.to(device, non_blocking=True).unsqueeze(-1) + torch.arange(count, device=device)
        inside = (position >= 0) & (position < length)
        segment = self.samples[start + position.clamp(min=0).minimum(length - 1)]
        return torch.where(inside, segment.float() / FULL_SCALE, 0.0)

    def whole(self, recording: int) -> NDArray[np.float32]:
        """All samples of one recording, full scale 1."""
        start, length = int(self.starts[recording]), int(self.lengths[recording])
        return self.samples[start : start + length].cpu().numpy().astype(np.float32) / np.float32(FULL_SCALE)


def load(recordings: Sequence[Recording], cache: Path | None = None, threads: int = 4) -> Corpus:
    """Decode recordings into a corpus on the CPU.

    Args:
        recordings: What to decode.
        cache: Folder that keeps what was decoded, so that the next start with the same files takes a second.
        threads: Files decoded at a time.

    Raises:
        DataError: A file is corrupt, empty, below 16 kHz, or silent where speech is expected.
    """
    kept = cache / f"{_fingerprint(recordings)}.npz" if cache else None
    if kept and kept.exists():
        with np.load(kept) as file:
            samples, lengths, levels = (torch.from_numpy(file[name]) for name in ("samples", "lengths", "levels"))
    else:
        with ThreadPoolExecutor(threads) as pool:
            decoded = list(pool.map(decode, recordings))
        samples = torch.from_numpy(np.concatenate(decoded))
        lengths = torch.tensor([len(part) for part in decoded])
        levels = torch.tensor([_levels(part) for part in decoded])
        if kept:
            _keep(kept, samples, lengths, levels)
    return Corpus(
        samples=samples,
        starts=lengths.cumsum(0) - lengths,
        lengths=lengths,
        rms=levels[:, 0],
        active_rms=levels[:, 1],
        recordings=tuple(recordings),
    )


def _fingerprint(recordings: Sequence[Recording]) -> str:
    """Changes when a file does."""
    digest = hashlib.sha256()
    for recording in recordings:
        status = recording.path.stat()
        facts = (recording.path.resolve(), status.st_size, status.st_mtime_ns, recording.denoised, recording.excerpt)
        digest.update(f"{' '.join(map(str, facts))}\n".encode())
    return digest.hexdigest()[:16]


def _keep(path: Path, samples: Tensor, lengths: Tensor, levels: Tensor) -> None:
    # Several processes of one run may write at once, each the same.
    with atomic_write(path, several_writers=True) as file:
        np.savez(file, samples=samples.numpy(), lengths=lengths.numpy(), levels=levels.numpy())


def _levels(samples: NDArray[np.int16]) -> tuple[float, float]:
    """Root mean square over all samples and over the active frames."""
    power = (samples.astype(np.float32) / FULL_SCALE) ** 2
    whole = float(power.mean())
    frames = power[: len(power) // _FRAME * _FRAME].reshape(-1, _FRAME).mean(axis=1)
    active = frames[frames > frames.max() * 1e-4] if len(frames) and frames.max() > 0 else np.array([whole])
    return whole**0.5, float(active.mean()) ** 0.5
