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
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from imse.arguments import number_from_zero, whole_number
from imse.atomic_write import require_writable
from imse.audio import STDIO, open_output, open_reader, open_writer, output_format_for
from imse.audio.formats import check_extension
from imse.engine import AUTO, open_engine
from imse.engine.interface import Engine
from imse.errors import ImseError
from imse.signal.gain import guide_gain, limiting_gain
from imse.signal.level import Levelling
from imse.signal.resample import Block, resample_stream
from imse.signal.segments import OverlappingSegments, PaperSegments, Segmentation, run_in_segments
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.weights import DEFAULT

SEGMENTATIONS: dict[str, Callable[[], Segmentation]] = {"overlap": OverlappingSegments, "paper": PaperSegments}
LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000
MOST_CHANNELS = 128

# What is louder might overflow float32 on the way: soxr's filters do from about 1e36 on.
_LOUDEST = 1e33

AnyFloat = TypeVar("AnyFloat", bound="np.floating[Any]")


class UnsuitableSignalError(ImseError):
    """A signal that cannot be enhanced. The message does not say which one: a file's name is put before it."""


class FileResult(NamedTuple):
    """What became of a file.

    Attributes:
        seconds: Seconds of audio enhanced.
        damage: One line on damage that was met in the input, or None.
    """

    seconds: float
    damage: str | None


class Enhancer:
    """A network opened once, to enhance many signals. Safe to use from several threads.

    Args:
        weights: Name of weights in the package, or a file.
        engine: A name in `imse.engine.ENGINES`, where each is described, or "auto" for the fastest that is there and
            runs the weights. An open engine is used as it is, with its own weights and threads.
        threads: Processor threads that the network uses, at most as many as this process has processors.
        segments: "overlap", or "paper" for the authors' own inference, by which published numbers came about.
        attenuation_limit_db: The most by which noise is turned down; the rest of the input is blended in. 0 leaves the
            input as it is, None sets no limit.

    Raises:
        ImseError: Unknown names, unreadable weights, a limit below 0, `threads` that are not a whole number from 1 up.
        ModuleNotFoundError: The engine needs a package that is not installed.
    """

    def __init__(
        self,
        weights: str | Path = DEFAULT,
        engine: str | Engine = AUTO,
        threads: int = 1,
        segments: str = "overlap",
        attenuation_limit_db: float | None = None,
    ) -> None:
        if segments not in SEGMENTATIONS:
            raise ImseError(f"unknown segments '{segments}': choose from {', '.join(SEGMENTATIONS)}")
        if attenuation_limit_db is not None:
            attenuation_limit_db = number_from_zero("attenuation_limit_db", attenuation_limit_db)
        self._segmentation = SEGMENTATIONS[segments]()
        self._levelling = None if segments == "paper" else Levelling()  # the authors' inference is left as it is
        # The share of the input that is blended into the output.
        self._kept = 0.0 if attenuation_limit_db is None else 10 ** (-attenuation_limit_db / 20)
        self._engine = open_engine(engine, weights, threads) if isinstance(engine, str) else engine

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Enhancer cannot be copied or pickled: make one in each process")

    def enhance(self, x: NDArray[AnyFloat], sample_rate: int) -> NDArray[AnyFloat]:
        """Enhance an array.

        Args:
            x: Samples [samples] or [samples, channels] in float32 or float64, full scale at +-1 or any level.
            sample_rate: In Hz, 8,000 to 192,000.

        Returns:
            The enhanced signal, of x's shape and type.

        Raises:
            ImseError: Not such an array, NaN or infinite samples, or a rate out of range.
        """
        _check_array(x)
        _check_rate(sample_rate)
        if not np.isfinite(x).all():
            raise ImseError("the array contains NaN or infinite samples")
        signal = x[:, np.newaxis] if x.ndim == 1 else x

        def blocks() -> Iterator[Block]:
            for start in range(0, len(signal), sample_rate):
                yield signal[start : start + sample_rate]

        level = _measure(blocks(), sample_rate, signal.shape[1])
        enhanced = list(self._stream(blocks(), sample_rate, level))
        return np.concatenate([signal[:0], *enhanced]).reshape(x.shape).astype(x.dtype, copy=False)

    def enhance_file(
        self,
        source: str | Path,
        target: str | Path,
        progress: Callable[[float, float], None] | None = None,
        cancelled: Event | None = None,
    ) -> FileResult:
        """Enhance a file. The output appears whole or not at all, and replaces what was there.

        Rate, channels, length, encoding and tags are the input's, as far as the output's container can hold them.

        Args:
            source: An audio file, or ``-`` for WAV from standard input.
            target: The file to write, or ``-`` for WAV on standard output.
            progress: Called again and again with the seconds of audio done, and those that there are: 0 as long as
                that is not known.
            cancelled: To be set, by another thread, to end the work within seconds.

        Raises:
            OSError: A file that cannot be read or written.
            ImseError: Not audio, NaN or infinite samples, or a format that cannot be written.
            concurrent.futures.CancelledError: `cancelled` was set. There is no output.
        """
        source, target = Path(source), Path(target)
        with open_reader(source) as reader, _errors_named("standard input" if source == STDIO else str(source)):
            sample_rate = reader.info.sample_rate
            _check_rate(sample_rate)
            if reader.info.channels > MOST_CHANNELS:
                raise UnsuitableSignalError(f"{reader.info.channels} channels; at most {MOST_CHANNELS} can be enhanced")
            # Before the first pass, which may take a while.
            check_extension(target)
            if target != STDIO:
                require_writable(target)
            done = 0

            def blocks() -> Iterator[Block]:
                for block in reader.blocks(sample_rate):
                    if cancelled and cancelled.is_set():
                        from concurrent.futures import CancelledError

                        raise CancelledError
                    if progress:
                        progress(done / sample_rate, reader.info.frames / sample_rate)
                    yield block

            level = _measure(blocks(), sample_rate, reader.info.channels)
            output = output_format_for(target, reader.info)
            same = (output.format, output.subtype) == (reader.info.format, reader.info.subtype)
            if self._kept == 1 and same and source != STDIO:
                # Encoding a lossy format again would not leave it as it is.
                with open_output(target) as copy, source.open("rb") as original:
                    shutil.copyfileobj(original, copy)
                done = reader.info.frames
            else:
                with open_writer(target, output) as writer:
                    for block in self._stream(blocks(), sample_rate, level):
                        writer.write(block)
                        done += len(block)
            return FileResult(done / sample_rate, reader.damage)

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
            if self._levelling:
                # Direct current must neither hide that the rest becomes louder, nor be spread to where there is none.
                waveform *= np.minimum(limiting_gain(noisy, waveform), limiting_gain(inputs[rows], waveform))
            parts[0, rows] = waveform
            if with_high_band:
                parts[1, rows] = inputs[rows]
                parts[2, rows] = guide_gain(enhanced.noisy, enhanced.magnitude, inputs.shape[1])
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


@contextmanager
def _errors_named(name: str) -> Iterator[None]:
    try:
        yield
    except UnsuitableSignalError as error:
        raise ImseError(f"{name}: {error}") from error


def _check_rate(sample_rate: int) -> None:
    sample_rate = whole_number("sample_rate", sample_rate)
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise UnsuitableSignalError(
            f"a sample rate of {sample_rate} Hz is out of range: {LOWEST_RATE} to {HIGHEST_RATE}"
        )


def _check_array(x: NDArray[Any]) -> None:
    if isinstance(x, np.ma.MaskedArray):
        raise ImseError("x is a masked array, whose masked samples have no value; fill them first: x.filled(0)")
    if not isinstance(x, np.ndarray) or x.dtype not in (np.float32, np.float64):
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise ImseError(
            f"samples must be a float32 or float64 array, not {kind}; integers are divided by full scale first"
        )
    if x.ndim not in (1, 2) or (x.ndim == 2 and not 1 <= x.shape[1] <= MOST_CHANNELS):
        raise ImseError(f"the array must be [samples] or [samples, channels], not {list(x.shape)}")
