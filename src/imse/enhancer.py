"""Noisy sound to enhanced sound: arrays and files of any rate, length and number of channels, in constant memory.

A signal is passed over twice: once for its length, by which it is cut into segments, and once to enhance it. A file is
decoded in both passes, as a decoded recording of any length does not fit in constant memory, and headers may be wrong.
Channels are enhanced independently. The network works at 16 kHz; what a recording has above 8 kHz is kept, turned down
frame by frame as much as the network turned down the band just below. What the network makes louder over 0.4 s is
brought back to the level of the input.

Blocks of samples are [samples, channels] everywhere but in the engines, which take a batch of segments [B, samples].
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imse.arguments import number_from_zero, whole_number
from imse.atomic_write import require_writable
from imse.audio import (
    STDIO,
    AudioInfo,
    Writer,
    holds_integers,
    open_output,
    open_reader,
    open_writer,
    output_format_for,
)
from imse.audio.formats import check_extension
from imse.engine import AUTO, open_engine
from imse.engine.interface import Engine
from imse.errors import ImseError, WrongValueError
from imse.finish import Finishing, spooled
from imse.samples import Samples, as_floats, check_samples, count_clipped, like
from imse.signal.gain import follow_guide, guide_gain, limiting_gain
from imse.signal.level import Levelling
from imse.signal.resample import Block, resample_stream
from imse.signal.segments import OverlappingSegments, PaperSegments, Segmentation, run_in_segments
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.weights import DEFAULT, names

SEGMENTATIONS: dict[str, Callable[[], Segmentation]] = {"overlap": OverlappingSegments, "paper": PaperSegments}
LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000
MOST_CHANNELS = 128

# What is louder might overflow float32 on the way: soxr's filters do from about 1e36 on.
_LOUDEST = 1e33


class UnsuitableSignalError(WrongValueError):
    """A signal that cannot be enhanced. The message does not say which one: a file's name is put before it."""


class FileResult(NamedTuple):
    """What became of a file.

    Attributes:
        seconds: Seconds of audio enhanced.
        damage: One line on damage that was met in the input, or None.
        clipped: Samples of all channels that were beyond full scale and are clipped, as the output holds integers.
        lufs: The integrated loudness that was set: less than asked for where the true peak allows no more. None if none
            was asked for, or the output is silent or shorter than 0.4 s.
        notes: Lines that say so: samples clipped, a loudness not reached.
    """

    seconds: float
    damage: str | None
    clipped: int = 0
    lufs: float | None = None
    notes: tuple[str, ...] = ()


class Enhancer:
    """A network opened once, to enhance many signals. Safe to use from several threads, and in a forked process.

    Pickled, it is its arguments: where it arrives, it opens its weights again, and `engine="auto"` chooses from the
    engines there. Weights in a file are found under the same path.

    Args:
        weights: Name of weights in the package, or a file.
        engine: A name in `imse.engine.ENGINES`, where each is described, or "auto" for the fastest that is there and
            runs the weights. An open engine is used as it is, with its own weights and threads.
        threads: Processor threads that the network uses, at most as many as this process has processors.
        segments: "overlap", or "paper" for the authors' own inference, by which published numbers came about.
        attenuation_limit_db: The most by which noise is turned down; the rest of the input is blended in. 0 leaves the
            input as it is, None sets no limit.
        high_pass_hz: Cutoff of a filter that removes rumble after enhancement, 10 to 1,000 Hz; 80 leaves voices as they
            are. It has linear phase and no delay. None filters nothing.
        loudness_lufs: Integrated loudness of the output (EBU R 128), -60 to 0 LUFS; less where the true peak would
            exceed -1 dBTP. None leaves the level as it is. Needs ``imse[av]``.

    Raises:
        ImseError: Also a ValueError or a TypeError: unknown names, numbers out of range, arguments of another type.
            Neither: unreadable weights.
        ModuleNotFoundError: The engine, or `loudness_lufs`, needs a package that is not installed.
    """

    def __init__(
        self,
        weights: str | Path = DEFAULT,
        engine: str | Engine = AUTO,
        threads: int = 1,
        segments: str = "overlap",
        attenuation_limit_db: float | None = None,
        high_pass_hz: float | None = None,
        loudness_lufs: float | None = None,
    ) -> None:
        if segments not in SEGMENTATIONS:
            raise WrongValueError(f"unknown segments '{segments}': choose from {', '.join(SEGMENTATIONS)}")
        if attenuation_limit_db is not None:
            attenuation_limit_db = number_from_zero("attenuation_limit_db", attenuation_limit_db)
        self._segmentation = SEGMENTATIONS[segments]()
        self._levelling = None if segments == "paper" else Levelling()  # the authors' inference is left as it is
        # The share of the input that is blended into the output.
        self._kept = 0.0 if attenuation_limit_db is None else 10 ** (-attenuation_limit_db / 20)
        self._finishing = Finishing(high_pass_hz, loudness_lufs)
        self._engine = open_engine(engine, weights, threads) if isinstance(engine, str) else engine
        self._arguments = (
            weights if str(weights) in names() else Path(weights).absolute(),
            engine, threads, segments, attenuation_limit_db, high_pass_hz, loudness_lufs,
        )  # fmt: skip

    def __reduce__(self) -> tuple[type[Enhancer], tuple[object, ...]]:
        return type(self), self._arguments

    def enhance(self, x: NDArray[Samples], sample_rate: int) -> NDArray[Samples]:
        """Enhance an array.

        Args:
            x: Samples [samples] or [samples, channels]: float32 or float64, full scale at +-1 or any level; or uint8,
                int16 or int32, whose full scale is that of WAV files, as `scipy.io.wavfile.read` gives them.
            sample_rate: In Hz, 8,000 to 192,000.

        Returns:
            The enhanced signal, of x's shape and type. Integers are rounded; a warning counts those that were clipped.

        Raises:
            ImseError: Also a TypeError: x is no array of these types, `sample_rate` no whole number. Also a ValueError:
                another shape, NaN or infinite samples, or a rate out of range.
        """
        check_samples(x, MOST_CHANNELS)
        sample_rate = checked_rate(sample_rate)
        signal = as_floats(x[:, np.newaxis] if x.ndim == 1 else x)

        def blocks() -> Iterator[Block]:
            for start in range(0, len(signal), sample_rate):
                yield signal[start : start + sample_rate]

        level = _measure(blocks(), sample_rate, signal.shape[1])
        enhanced = list(self._filtered(blocks(), sample_rate, level))
        gain = self._finishing.loudness(enhanced, sample_rate, signal.shape[1]).gain
        return like(x, gain * np.concatenate([signal[:0], *enhanced]).reshape(x.shape))

    def enhance_file(
        self,
        source: str | Path,
        target: str | Path,
        progress: Callable[[float, float], None] | None = None,
        cancelled: Event | None = None,
        residual: str | Path | None = None,
    ) -> FileResult:
        """Enhance a file. The output appears whole or not at all, and replaces what was there.

        Rate, channels, length, encoding and tags are the input's, as far as the output's container can hold them.

        Args:
            source: An audio file, or ``-`` for WAV from standard input.
            target: The file to write, or ``-`` for WAV on standard output.
            progress: Called again and again with the seconds of audio done, and those that there are: 0 as long as
                that is not known.
            cancelled: To be set, by another thread, to end the work within seconds.
            residual: A file to write what was taken away to, to listen to: the input minus the output, before the
                loudness is set.

        Raises:
            OSError: A file that cannot be read or written.
            ImseError: Not audio, NaN or infinite samples, a format that cannot be written, or two outputs in one file.
            concurrent.futures.CancelledError: `cancelled` was set. There is no output.
        """
        source, target = Path(source), Path(target)
        with open_reader(source) as reader, _errors_named("standard input" if source == STDIO else str(source)):
            sample_rate = checked_rate(reader.info.sample_rate)
            _check_channels(reader.info.channels)
            targets = [target] if residual is None else [target, Path(residual)]
            _check_targets(targets)  # before the first pass, which may take a while
            done = 0

            def blocks() -> Iterator[Block]:
                for block in reader.blocks(sample_rate):
                    if cancelled and cancelled.is_set():
                        from concurrent.futures import CancelledError

                        raise CancelledError
                    if progress:
                        progress(done / sample_rate, reader.info.frames / sample_rate)
                    yield block

            def counted(signal: Iterable[Block]) -> Iterator[Block]:
                nonlocal done
                for block in signal:
                    done += len(block)
                    yield block

            level = _measure(blocks(), sample_rate, reader.info.channels)
            outputs = [output_format_for(path, reader.info) for path in targets]
            same = (outputs[0].format, outputs[0].subtype) == (reader.info.format, reader.info.subtype)
            if self._kept == 1 and self._finishing.is_none and residual is None and same and source != STDIO:
                # Encoding a lossy format again would not leave it as it is.
                with open_output(target) as copy, source.open("rb") as original:
                    shutil.copyfileobj(original, copy)
                return FileResult(reader.info.frames / sample_rate, reader.damage)
            with ExitStack() as files:
                writers = [_CountingWriter.opened(files, *file) for file in zip(targets, outputs, strict=True)]
                signal: Iterable[Block] = counted(self._filtered(blocks(), sample_rate, level, *writers[1:]))
                if self._finishing.needs_all:
                    signal = files.enter_context(spooled(signal))
                loudness = self._finishing.loudness(signal, sample_rate, reader.info.channels)
                for block in signal:
                    writers[0].write(loudness.gain * block)
            notes = [*(writer.note for writer in writers), self._finishing.note(_name(target), loudness)]
            clipped = sum(writer.clipped for writer in writers)
            return FileResult(done / sample_rate, reader.damage, clipped, loudness.lufs, tuple(filter(None, notes)))

    def _filtered(
        self, blocks: Iterable[Block], sample_rate: int, level: _Level, residual: _CountingWriter | None = None
    ) -> Iterator[Block]:
        """Enhance a signal and do the first half of finishing; `residual` gets what was taken away."""
        waiting = _Queue()
        original = blocks if residual is None else waiting.tap(blocks)
        for block in self._finishing.filtered(self._stream(original, sample_rate, level), sample_rate):
            if residual is not None:
                residual.write(waiting.take(len(block)) - block)
            yield block

    def _stream(self, blocks: Iterable[Block], sample_rate: int, level: _Level) -> Iterator[Block]:
        """Enhance a signal whose level was measured, in blocks [samples, channels], to as many samples."""
        if self._kept == 1:
            yield from blocks
            return
        channels = len(level.scale)
        waiting = _Queue()
        narrow = resample_stream(_as_float32(waiting.tap(blocks)), sample_rate, SAMPLE_RATE, channels)
        with_high_band = sample_rate > SAMPLE_RATE
        enhanced = run_in_segments(
            narrow,
            level.samples,
            self._segmentation,
            lambda segments: self._run(segments, level.scale, with_high_band),
            at_once=max(1, self._engine.batch // channels),
        )
        # Side by side, so that what belongs together is resampled together.
        width = channels * (3 if with_high_band else 1)
        for block in resample_stream(enhanced, SAMPLE_RATE, sample_rate, width):
            original = waiting.take(len(block))
            yield self._mix(original, block[: len(original)])
        # Rounding the length twice may leave some samples over. A signal shorter than a sample at 16 kHz was not read.
        deque(narrow, maxlen=0)
        while len(original := waiting.take(sample_rate)):
            yield self._mix(original, np.zeros((len(original), width), np.float32))

    def _run(self, segments: list[Floats], scale: Floats, with_high_band: bool) -> list[Floats]:
        """Run the network on segments [samples, channels].

        Returns:
            For each segment [samples, channels] as enhanced; with the high band [samples, 3 * channels]: then comes
            the input, and the gain that the network applied just below 8 kHz.
        """
        inputs = np.concatenate(segments, axis=1).T
        scales = np.tile(scale, len(segments))[:, np.newaxis]
        parts = np.empty((3 if with_high_band else 1, *inputs.shape), np.float32)
        for start in range(0, len(inputs), self._engine.batch):
            rows = slice(start, start + self._engine.batch)
            noisy, gain = inputs[rows], scales[rows]
            if self._levelling:
                noisy = (noisy - noisy.mean(1, dtype=np.float64, keepdims=True)).astype(np.float32)
                gain = self._levelling.gain(noisy)
            with np.errstate(all="ignore"):  # what is not finite is reported once, here
                enhanced = self._engine(noisy * gain)
            if not np.isfinite(enhanced.waveform).all():
                raise ImseError(f"{self._engine.name}: damaged weights: the output of the network is not finite")
            waveform = enhanced.waveform / gain
            guide = guide_gain(enhanced.noisy, enhanced.magnitude, inputs.shape[1])
            if self._levelling:
                waveform = follow_guide(noisy, waveform, guide)
                # Direct current must neither hide that the rest becomes louder, nor be spread to where there is none.
                waveform *= limiting_gain([noisy, inputs[rows]], waveform)
            parts[0, rows] = waveform
            if with_high_band:
                parts[1, rows] = inputs[rows]
                parts[2, rows] = guide
        return [np.concatenate(segment).T for segment in np.split(parts, len(segments), axis=1)]

    def _mix(self, original: Block, block: Block) -> Block:
        """Add the high band to what came back from 16 kHz, and the input as far as the attenuation is limited."""
        enhanced = block[:, : original.shape[1]]
        if block.shape[1] > original.shape[1]:
            _, narrow, gain = np.split(block, 3, axis=1)
            enhanced = enhanced + np.clip(gain, 0, 1) * (original - narrow)
        if self._kept:
            enhanced = self._kept * original + (1 - self._kept) * enhanced
        return enhanced


class _CountingWriter:
    """A writer that counts the samples that it clips.

    Attributes:
        clipped: Samples beyond full scale that were written as integers.
    """

    def __init__(self, writer: Writer, path: Path, output: AudioInfo) -> None:
        self.clipped = 0
        self._writer = writer
        self._path = path
        self._clips = holds_integers(output)

    @classmethod
    def opened(cls, files: ExitStack, path: Path, output: AudioInfo) -> _CountingWriter:
        """A writer of a file that is complete when `files` are closed."""
        return cls(files.enter_context(open_writer(path, output)), path, output)

    @property
    def note(self) -> str | None:
        """A line about clipped samples, if there are any."""
        return f"{_name(self._path)}: {self.clipped} samples beyond full scale were clipped" if self.clipped else None

    def write(self, block: Block) -> None:
        """See `Writer.write`."""
        if self._clips:
            self.clipped += count_clipped(block)
        self._writer.write(block)


class _Queue:
    """Blocks that were read and wait for what is made of them."""

    def __init__(self) -> None:
        self._blocks: deque[Block] = deque()

    def tap(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Pass blocks through, keeping them."""
        for block in blocks:
            self._blocks.append(block)
            yield block

    def take(self, frames: int) -> Block:
        """The next frames, as many as there are."""
        taken: list[Block] = []
        while frames and self._blocks:
            block = self._blocks.popleft()
            if len(block) > frames:
                self._blocks.appendleft(block[frames:])
                block = block[:frames]
            taken.append(block)
            frames -= len(block)
        return np.concatenate(taken) if taken else np.empty((0, 0), np.float32)


def _as_float32(blocks: Iterable[Block]) -> Iterator[Floats]:
    for block in blocks:
        if len(block) and np.abs(block).max() > _LOUDEST:
            raise UnsuitableSignalError(f"samples beyond {_LOUDEST:g} cannot be processed")
        yield block.astype(np.float32, copy=False)


class _Level(NamedTuple):
    """How loud a signal is.

    Attributes:
        samples: Its length at 16 kHz.
        scale: The factor that brings it to an RMS of one (1 for silence), [channels], as the authors apply it.
    """

    samples: int
    scale: Floats


def _measure(blocks: Iterable[Block], sample_rate: int, channels: int) -> _Level:
    samples, power = 0, np.zeros(channels)
    for block in resample_stream(_as_float32(blocks), sample_rate, SAMPLE_RATE, channels):
        samples += len(block)
        power += np.square(block, dtype=np.float64).sum(0)
    # What is as quiet as 600 dB below full scale is silence: its factor would overflow.
    scale = np.sqrt(np.divide(samples, power, out=np.ones_like(power), where=power > samples * 1e-60))
    return _Level(samples, scale.astype(np.float32))


def _name(target: Path) -> str:
    return "standard output" if target == STDIO else str(target)


@contextmanager
def _errors_named(name: str) -> Iterator[None]:
    try:
        yield
    except UnsuitableSignalError as error:
        raise ImseError(f"{name}: {error}") from error


def _check_channels(channels: int) -> None:
    if channels > MOST_CHANNELS:
        raise UnsuitableSignalError(f"{channels} channels; at most {MOST_CHANNELS} can be enhanced")


def _check_targets(targets: list[Path]) -> None:
    for path in targets:
        check_extension(path)
        if path != STDIO:
            require_writable(path)
    if len({path if path == STDIO else path.resolve() for path in targets}) < len(targets):
        raise ImseError(f"{targets[0]}: the output and what was taken away would be written to one file")


def checked_rate(sample_rate: int) -> int:
    """A rate in Hz that can be enhanced. Raises `ImseError` for others."""
    sample_rate = whole_number("sample_rate", sample_rate)
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise UnsuitableSignalError(
            f"a sample rate of {sample_rate} Hz is out of range: {LOWEST_RATE} to {HIGHEST_RATE}"
        )
    return sample_rate
