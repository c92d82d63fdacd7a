"""Noisy sound to enhanced sound: arrays and files of any rate, length and number of channels, in constant memory.

A signal is passed over twice: once for its level, by which the network's input is scaled, and once to enhance it.
Channels are enhanced independently. The network works at 16 kHz; what a recording has above 8 kHz is kept, turned down
frame by frame as much as the network turned down the band just below.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imse.atomic_write import replacing
from imse.audio import STDIO, open_reader, open_writer, output_format_for
from imse.engine import AUTO, Engine, Enhanced, open_engine
from imse.errors import ImseError
from imse.signal.resample import Block, resample_stream
from imse.signal.segments import OverlappingSegments, PaperSegments, Segmentation, process
from imse.signal.spectrum import COMPRESSION, HOP_LENGTH, N_FFT, SAMPLE_RATE, Floats

SEGMENTATIONS: dict[str, Callable[[], Segmentation]] = {"overlap": OverlappingSegments, "paper": PaperSegments}
LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000
MOST_CHANNELS = 128

# The band whose gain the high band follows: as near to 8 kHz as the resampler's edge allows.
_GUIDE = slice(round(5_500 * N_FFT / SAMPLE_RATE), round(7_200 * N_FFT / SAMPLE_RATE))
_GUIDE_FRAMES = 5  # frames (31 ms) over which that gain is averaged, so that hiss does not flutter

AnyFloat = TypeVar("AnyFloat", bound="np.floating[Any]")


class Enhancer:
    """A network opened once, to enhance many signals. Safe to use from several threads.

    Args:
        weights: Name of weights in the package, or a file.
        engine: "native" (compiled; safetensors files of IMSE), "onnx" (ONNX files), "torch" (safetensors and published
            files; an accelerator if there), or "auto" for the first of them that there is for the weights. An open
            engine is used as it is, with its own weights and threads.
        threads: Processor threads that the network uses.
        segments: "overlap", or "paper" for the authors' own inference, by which published numbers came about.
        attenuation_limit_db: The most by which noise is turned down; the rest of the input is blended in. 0 leaves the
            input as it is, None sets no limit.

    Raises:
        ImseError: Unknown names, unreadable weights, a limit below 0.
        ModuleNotFoundError: The engine needs a package that is not installed.
    """

    def __init__(
        self,
        weights: str | Path = "default",
        engine: str | Engine = AUTO,
        threads: int = 1,
        segments: str = "overlap",
        attenuation_limit_db: float | None = None,
    ) -> None:
        if segments not in SEGMENTATIONS:
            raise ImseError(f"unknown segments '{segments}': choose from {', '.join(SEGMENTATIONS)}")
        if attenuation_limit_db is not None and not attenuation_limit_db >= 0:
            raise ImseError(f"the attenuation limit is a number of dB from 0 up, not {attenuation_limit_db}")
        if threads < 1:
            raise ImseError(f"threads must be at least 1, not {threads}")
        self._segmentation = SEGMENTATIONS[segments]()
        self._kept = 0.0 if attenuation_limit_db is None else 10 ** (-attenuation_limit_db / 20)
        self._engine = open_engine(engine, weights, threads) if isinstance(engine, str) else engine

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
        if not np.isfinite(x).all():
            raise ImseError("the array contains NaN or infinite samples")
        signal = x[:, np.newaxis] if x.ndim == 1 else x
        block_length = max(1, sample_rate)

        def blocks() -> Iterator[Block]:
            for start in range(0, len(signal), block_length):
                yield signal[start : start + block_length]

        enhanced = list(self._stream(blocks, sample_rate, signal.shape[1]))
        return np.concatenate([signal[:0], *enhanced]).reshape(x.shape).astype(x.dtype, copy=False)

    def enhance_file(
        self, source: str | Path, target: str | Path, progress: Callable[[float, float], None] | None = None
    ) -> tuple[float, str | None]:
        """Enhance a file. The output appears whole or not at all, and replaces what was there.

        Rate, channels, length, encoding and tags are the input's, as far as the output's container can hold them.

        Args:
            source: An audio file, or ``-`` for WAV from standard input.
            target: The file to write, or ``-`` for WAV on standard output.
            progress: Called again and again with the seconds of audio done, and those that there are; what it raises
                ends the work.

        Returns:
            Seconds of audio, and one line on damage that was met in the input, or None.

        Raises:
            OSError: A file that cannot be read or written.
            ImseError: Not audio, NaN or infinite samples, or a format that cannot be written.
        """
        source, target = Path(source), Path(target)
        with open_reader(source) as reader:
            info = reader.info
            _check_rate(info.sample_rate)
            output = output_format_for(target, info)
            if self._kept == 1 and (output.format, output.subtype) == (info.format, info.subtype) and source != STDIO:
                # Encoding a lossy format again would not leave it as it is.
                with replacing(target) as sink, source.open("rb") as original:
                    shutil.copyfileobj(original, sink)
                return info.frames / info.sample_rate, None
            done = 0

            def blocks() -> Iterator[Block]:
                for block in reader.blocks(info.sample_rate):
                    if progress:
                        progress(done / info.sample_rate, info.frames / info.sample_rate)
                    yield block

            with open_writer(target, info) as writer:
                for block in self._stream(blocks, info.sample_rate, info.channels):
                    writer.write(block)
                    done += len(block)
            return done / info.sample_rate, reader.note

    def _stream(self, blocks: Callable[[], Iterable[Block]], sample_rate: int, channels: int) -> Iterator[Block]:
        """Enhance a signal that can be read twice, in blocks [frames, channels], to as many frames."""
        _check_rate(sample_rate)
        if self._kept == 1:
            yield from blocks()
            return
        samples, scale = _level(resample_stream(_as_float32(blocks()), sample_rate, SAMPLE_RATE, channels))
        waiting = _Queue()
        tapped = waiting.tap(blocks())
        narrow = resample_stream(_as_float32(tapped), sample_rate, SAMPLE_RATE, channels)
        with_high_band = sample_rate > SAMPLE_RATE
        stacks = process(
            (np.ascontiguousarray(block.T) for block in narrow),
            samples,
            self._segmentation,
            lambda segments: self._run(segments, scale, with_high_band),
            at_once=max(1, self._engine.batch // channels),
        )
        # [1 or 3, channels, n] to [n, all channels]: what belongs together is resampled together.
        flat = (np.ascontiguousarray(stack.reshape(-1, stack.shape[-1]).T) for stack in stacks)
        width = channels * (3 if with_high_band else 1)
        for block in resample_stream(flat, SAMPLE_RATE, sample_rate, width):
            original = waiting.take(len(block))
            yield self._mix(original, block[: len(original)])
        # Two roundings of the length may leave some samples over, and of less than a sample at 16 kHz nothing was read.
        deque(narrow, maxlen=0)
        while len(original := waiting.take(sample_rate)):
            yield self._mix(original, np.zeros((len(original), width), np.float32))

    def _run(self, segments: list[Floats], scale: Floats, with_high_band: bool) -> list[Floats]:
        """Segments [channels, n] to stacks [1 or 3, channels, n]: enhanced, and for the high band input and gain."""
        length = segments[0].shape[1]
        inputs = np.concatenate(segments)
        scales = np.tile(scale, (len(segments), 1))
        outputs = np.empty((3 if with_high_band else 1, *inputs.shape), np.float32)
        for start in range(0, len(inputs), self._engine.batch):
            rows = slice(start, start + self._engine.batch)
            enhanced = self._engine(inputs[rows] * scales[rows])
            outputs[0, rows] = enhanced.waveform / scales[rows]
            if with_high_band:
                outputs[1, rows] = inputs[rows]
                outputs[2, rows] = _guide_gain(enhanced, length)
        return np.split(outputs, len(segments), axis=1)

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
        with np.errstate(over="ignore"):
            narrowed = block.astype(np.float32, copy=False)
        if not np.isfinite(narrowed).all():
            raise ImseError("samples beyond 3e38 cannot be processed")
        yield narrowed


def _level(blocks: Iterable[Block]) -> tuple[int, Floats]:
    """Length, and per channel [channels, 1] the factor that brings the signal to an RMS of one (1 for silence)."""
    samples, power = 0, np.zeros(1)
    for block in blocks:
        samples += len(block)
        power = power + np.square(block, dtype=np.float64).sum(0)
    # What is as quiet as 600 dB below full scale is silence: its factor would overflow.
    scale = np.sqrt(np.divide(samples, power, out=np.ones_like(power), where=power > samples * 1e-60))
    return samples, scale.astype(np.float32)[:, np.newaxis]


def _guide_gain(enhanced: Enhanced, samples: int) -> Floats:
    """The network's gain just below 8 kHz, smoothed, at every sample: [B, samples], at most 1."""
    before, after = ((m[:, _GUIDE] ** (2 / COMPRESSION)).sum(1) for m in (enhanced.noisy, enhanced.magnitude))
    gain = np.sqrt(np.divide(after, before, out=np.zeros_like(after), where=before > 0))
    gain = np.minimum(gain, 1)
    border = _GUIDE_FRAMES // 2
    padded = np.pad(gain, [(0, 0), (border, border)], mode="edge")
    smooth = np.lib.stride_tricks.sliding_window_view(padded, _GUIDE_FRAMES, axis=1).mean(-1)
    at = np.arange(samples) / HOP_LENGTH
    return np.stack([np.interp(at, np.arange(len(row)), row) for row in smooth]).astype(np.float32)


def _check_rate(sample_rate: int) -> None:
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise ImseError(f"a sample rate of {sample_rate} Hz is out of range: {LOWEST_RATE} to {HIGHEST_RATE}")


def _check_array(x: NDArray[Any]) -> None:
    if not isinstance(x, np.ndarray) or x.dtype not in (np.float32, np.float64):
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise ImseError(
            f"samples must be a float32 or float64 array, not {kind}; integers are divided by full scale first"
        )
    if x.ndim not in (1, 2) or (x.ndim == 2 and not 1 <= x.shape[1] <= MOST_CHANNELS):
        raise ImseError(f"the array must be [samples] or [samples, channels], not {list(x.shape)}")
