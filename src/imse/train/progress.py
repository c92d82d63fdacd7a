"""The display of a run: a progress bar with throughput, and TensorBoard curves, sound and spectrograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from imse.signal.spectrum import COMPRESSION, SAMPLE_RATE, Floats, analyse

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Board:
    """TensorBoard events of a run, under its folder, written by the first process alone.

    Args:
        folder: Run folder.
        active: Whether this process writes.
    """

    def __init__(self, folder: Path, *, active: bool) -> None:
        self._writer: SummaryWriter | None = None
        if active:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(folder / "events")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write one point per curve."""
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def samples(self, name: str, waveforms: Sequence[tuple[str, Floats]], step: int) -> None:
        """Write sound, and spectrograms under each other, of waveforms [samples] of one utterance."""
        if not self._writer:
            return
        for kind, waveform in waveforms:
            peak = max(1.0, float(np.abs(waveform).max()))
            self._writer.add_audio(f"{name}/{kind}", (waveform / peak)[None], step, SAMPLE_RATE)
        image = np.concatenate([spectrogram(waveform) for _, waveform in waveforms])
        self._writer.add_image(f"{name}/spectrograms", image, step, dataformats="HW")

    def close(self) -> None:
        """Flush what is written."""
        if self._writer:
            self._writer.close()


def spectrogram(waveform: Floats, range_db: float = 80.0) -> Floats:
    """Picture [256, T] of a waveform [samples], low frequencies below: 1 at the loudest, 0 at `range_db` below it."""
    magnitude, _ = analyse(waveform[None])
    level_db = 20 / COMPRESSION * np.log10(magnitude[0, ::-1] + 1e-6)
    picture: Floats = np.clip(1 + (level_db - level_db.max()) / range_db, 0, 1).astype(np.float32)
    return picture


class Bar:
    """Progress bar of a run: steps, seconds of audio per second, the last validation.

    Args:
        active: Whether this process shows it.
    """

    def __init__(self, *, active: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>5.1f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            disable=not active,
            refresh_per_second=1,
        )
        self._task = self._progress.add_task("training", total=1.0, state="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, progress: float, step: int, audio_per_second: float, terms: Mapping[str, float]) -> None:
        """Show where the run is; in a log file, where no bar can be drawn, as a line.

        Args:
            progress: Share of the run that is done.
            step: Steps done.
            audio_per_second: Seconds of audio trained on per second.
            terms: Terms of the loss.
        """
        state = f"step {step:,}  {audio_per_second:.1f} s/s"
        self._progress.update(self._task, completed=progress, state=state)
        if not self._progress.console.is_terminal:
            self.note(f"{progress:6.1%}  {state}  {_listed(terms)}")

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        if not self._progress.disable:
            self._progress.console.print(text, highlight=False, soft_wrap=True)

    def validated(self, step: int, means: Mapping[str, float]) -> None:
        """Print a validation."""
        self.note(f"validation at step {step:,}:  {_listed(means)}")


def _listed(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())
