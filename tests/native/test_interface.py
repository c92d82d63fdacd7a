"""The functions of imse.h that Python does not need, or that nobody would call like this, called through ctypes."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file

from imse import Enhancer, native
from imse.native import NativeNetwork, StreamSettings
from imse.signal.segments import SEGMENT, OverlappingSegments
from imse.signal.spectrum import Floats
from imse.weights import find
from imse.weights.serialization import serialize

pytestmark = pytest.mark.skipif(not native.available(), reason="needs a C++ compiler when imse is installed")

OK, INVALID_ARGUMENT, INVALID_WEIGHTS, UNSUPPORTED_WEIGHTS, INVALID_SIGNAL = range(5)
SMALL = find("small", ".safetensors")


class Error(ctypes.Structure):
    _fields_ = (("status", ctypes.c_int32), ("text", ctypes.c_char * 508))


class Description(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("channels", "blocks", "bins", "threads")),
        ("parameters", ctypes.c_int64),
    )


class Part(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("start", "stop", "begin", "end", "fade")]


@pytest.fixture(scope="module")
def library() -> Any:
    """Without the types that Python's caller declares, so that null pointers can be given."""
    opened = ctypes.CDLL(str(native.LIBRARY))
    for name in ("open", "stream_open"):
        getattr(opened, f"imse_{name}").restype = ctypes.c_void_p
    opened.imse_metadata.restype = ctypes.c_char_p
    opened.imse_segments.restype = opened.imse_parts.restype = ctypes.c_size_t
    return opened


@pytest.fixture(scope="module")
def network(library: Any) -> Iterator[ctypes.c_void_p]:
    content = SMALL.read_bytes()
    opened = ctypes.c_void_p(library.imse_open(content, ctypes.c_size_t(len(content)), 1, None))
    assert opened
    yield opened
    library.imse_close(opened)


def pointer(array: Floats) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def enhance(library: Any, network: ctypes.c_void_p, noisy: Floats, limit_db: float = math.inf) -> Floats:
    enhanced, error = np.empty_like(noisy), Error()
    size, limit = ctypes.c_size_t(len(noisy)), ctypes.c_float(limit_db)
    assert library.imse_enhance(network, pointer(noisy), size, limit, pointer(enhanced), ctypes.byref(error)) == OK
    return enhanced


@pytest.mark.parametrize("samples", [1, 700, 5_000, 85_389])
def test_a_recording_as_python_enhances_it(
    library: Any, network: ctypes.c_void_p, recording: Floats, samples: int
) -> None:
    noisy = np.ascontiguousarray(recording[:samples])
    for limit_db in (None, 12.0):
        expected = Enhancer(SMALL, "native", attenuation_limit_db=limit_db).enhance(noisy, 16_000)
        ours = enhance(library, network, noisy, math.inf if limit_db is None else limit_db)
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_direct_current_silence_and_loud_parts(library: Any, network: ctypes.c_void_p, recording: Floats) -> None:
    """What levels and limits depend on, in both implementations of them."""
    quiet = recording[:30_000] * np.linspace(0.001, 1, 30_000, dtype=np.float32) ** 2
    burst = recording[:20_000].copy()
    burst[5_000:5_400] = 0.9
    for noisy in (recording[:9_000] + np.float32(0.2), quiet, burst, np.ones(1_000, np.float32)):
        expected = Enhancer(SMALL, "native").enhance(noisy, 16_000)
        np.testing.assert_allclose(enhance(library, network, noisy), expected, atol=3e-5 * np.abs(noisy).max())
    assert not enhance(library, network, np.zeros(2_000, np.float32)).any()
    assert len(enhance(library, network, np.empty(0, np.float32))) == 0


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10_000_000) | st.integers(1, 4 * SEGMENT))
def test_segments_are_those_of_python(library: Any, samples: int) -> None:
    plan = list(OverlappingSegments().plan(samples))
    assert library.imse_segments(ctypes.c_size_t(samples)) == len(plan)
    start, length, begin = (ctypes.c_size_t() for _ in range(3))
    places = tuple(map(ctypes.byref, (start, length, begin)))
    for i in {0, len(plan) // 2, len(plan) - 1}:
        assert library.imse_segment(ctypes.c_size_t(samples), ctypes.c_size_t(i), *places) == OK
        assert (start.value, start.value + length.value, begin.value) == (plan[i].start, plan[i].stop, plan[i].begin)
    assert library.imse_segment(ctypes.c_size_t(samples), ctypes.c_size_t(len(plan)), *places) == INVALID_ARGUMENT
    assert library.imse_segments(ctypes.c_size_t(0)) == 0


def test_joined_segments_are_the_recording(library: Any, network: ctypes.c_void_p, recording: Floats) -> None:
    """As the header says that callers join them."""
    samples, fade = len(recording), 1_600
    fade_in = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)
    joined = np.zeros(samples, np.float32)
    start, length, begin = (ctypes.c_size_t() for _ in range(3))
    for i in range(library.imse_segments(ctypes.c_size_t(samples))):
        library.imse_segment(ctypes.c_size_t(samples), ctypes.c_size_t(i), *map(ctypes.byref, (start, length, begin)))
        noisy = np.ascontiguousarray(recording[start.value : start.value + length.value])
        output, high_band = np.empty_like(noisy), np.empty_like(noisy)
        size = ctypes.c_size_t(len(noisy))
        assert not library.imse_enhance_segment(
            network, pointer(noisy), size, pointer(output), pointer(high_band), None
        )
        assert 0 <= high_band.min() < high_band.max() <= 1
        used, at = output[begin.value - start.value :], begin.value
        if i:
            used[:fade] = joined[at : at + fade] + fade_in * (used[:fade] - joined[at : at + fade])
        joined[at : at + len(used)] = used
    np.testing.assert_allclose(joined, enhance(library, network, recording), atol=1e-6)


def find_part(library: Any, rate: int, samples: int, i: int) -> Part:
    part = Part()
    size, number = ctypes.c_size_t(samples), ctypes.c_size_t(i)
    assert library.imse_find_part(rate, size, number, ctypes.byref(part), None) == OK
    return part


def joined_parts(library: Any, network: ctypes.c_void_p, noisy: Floats, rate: int, limit_db: float) -> Floats:
    """Enhanced part by part, the last one first, and joined as the header says."""
    size, joined = ctypes.c_size_t(len(noisy)), np.zeros_like(noisy)
    outputs = []
    for i in reversed(range(library.imse_parts(rate, size))):
        part = find_part(library, rate, len(noisy), i)
        x, y = noisy[part.start : part.stop].copy(), np.empty(part.end - part.begin, np.float32)
        arguments = (ctypes.c_size_t(i), pointer(x), ctypes.c_float(limit_db), pointer(y), None)
        assert library.imse_enhance_part(network, rate, size, *arguments) == OK
        outputs.append((part, y))
    for part, y in reversed(outputs):
        fade_in = 0.5 - 0.5 * np.cos(np.pi * (np.arange(part.fade) + 0.5) / max(part.fade, 1))
        before = joined[part.begin : part.begin + part.fade]
        y[: part.fade] = before + fade_in * (y[: part.fade] - before)
        joined[part.begin : part.end] = y
    return joined


@pytest.mark.parametrize(
    ("rate", "samples", "limit_db", "agreement_db"),
    [(16_000, 85_389, 9, 90), (16_000, 1, 9, 90), (48_000, 230_000, 9, 45), (48_000, 120_000, math.inf, 45),
     (44_100, 50_000, math.inf, 45), (8_000, 41_234, math.inf, 30), (12_347, 60_000, math.inf, 30)],
)  # fmt: skip
def test_joined_parts_are_what_python_makes_of_any_rate(
    library: Any, network: ctypes.c_void_p, recording: Floats, rate: int, samples: int, limit_db: float,
    agreement_db: float,
) -> None:  # fmt: skip
    """As near as filters of another form are to those of soxr; at 16 kHz there are none."""
    noise = 0.003 * np.random.default_rng(0).standard_normal(samples, np.float32)  # at all frequencies
    noisy = soxr.resample(recording, 16_000, rate)[:samples] + noise[: len(recording) * rate // 16_000]
    found = joined_parts(library, network, noisy, rate, limit_db)
    expected = Enhancer(SMALL, "native", attenuation_limit_db=limit_db).enhance(noisy, rate)
    error = np.square(found - expected, dtype=np.float64).sum()
    assert np.square(expected, dtype=np.float64).sum() > error * 10 ** (agreement_db / 10)


@settings(max_examples=200, deadline=None)
@given(st.integers(8_000, 192_000) | st.sampled_from([8_000, 44_100, 48_000]), st.integers(1, 2**32), st.data())
def test_parts_cover_a_recording(library: Any, rate: int, samples: int, data: st.DataObject) -> None:
    count = library.imse_parts(rate, ctypes.c_size_t(samples))
    i = data.draw(st.integers(0, count - 1))
    part = find_part(library, rate, samples, i)
    assert 0 <= part.start <= part.begin < part.end <= part.stop <= samples
    assert part.stop - part.start <= 6 * rate
    assert (part.begin == 0 and part.fade == 0) if i == 0 else part.fade == 1_600 * rate // 16_000
    if i + 1 < count:
        following = find_part(library, rate, samples, i + 1)
        assert following.begin + following.fade == part.end
        assert following.begin - part.begin > following.fade
    else:
        assert part.end == samples


def test_parts_out_of_range(library: Any, network: ctypes.c_void_p) -> None:
    samples, x = ctypes.c_size_t(99), np.ones(99, np.float32)
    part, none, error = Part(), ctypes.c_float(math.inf), Error()
    for rate, i, text in ((7_999, 0, "rate must be 8000"), (192_001, 0, "rate must be"), (16_000, 1, "no such part")):
        number = ctypes.c_size_t(i)
        assert library.imse_find_part(rate, samples, number, ctypes.byref(part), ctypes.byref(error)) != OK
        assert text in error.text.decode()
        arguments = (pointer(x), none, pointer(x), None)
        assert library.imse_enhance_part(network, rate, samples, number, *arguments) == INVALID_ARGUMENT
    assert library.imse_parts(16_000, ctypes.c_size_t(0)) == library.imse_parts(0, samples) == 0
    assert library.imse_parts(16_000, ctypes.c_size_t(2**63)) == 0


def test_description_and_metadata(library: Any, network: ctypes.c_void_p) -> None:
    description = Description()
    library.imse_describe(network, ctypes.byref(description))
    parameters = sum(tensor.size for tensor in load_file(SMALL).values())
    found = {name: getattr(description, name) for name, *_ in Description._fields_}
    assert found == {"channels": 8, "blocks": 4, "bins": 256, "threads": 1, "parameters": parameters}
    assert library.imse_metadata(network, b"name") == b"imse-small-cpu"
    assert library.imse_metadata(network, b"nothing") is None
    assert library.imse_api_version() == 1


@pytest.mark.parametrize("kind", ["F16", "BF16", "F64"])
def test_numbers_of_other_widths(recording: Floats, kind: str) -> None:
    """A file with them does what one with the same numbers in 32 bits does."""
    tensors = load_file(SMALL)
    with safe_open(SMALL, framework="numpy") as file:
        metadata = file.metadata()
    if kind == "BF16":  # numpy does not have it: the upper half of 32 bits
        cut = {name: (x.view(np.uint32) & 0xFFFF0000).view(np.float32) for name, x in tensors.items()}
        narrow = {name: (x.view(np.uint32) >> 16).astype(np.uint16) for name, x in cut.items()}
        content = serialize(narrow, metadata).replace(b'"dtype":"U16"', b'"dtype":"BF16"')
        header = int.from_bytes(content[:8], "little") + len(tensors)
        content = header.to_bytes(8, "little") + content[8:]
    else:
        narrow = {name: x.astype({"F16": np.float16, "F64": np.float64}[kind]) for name, x in tensors.items()}
        cut = {name: x.astype(np.float32) for name, x in narrow.items()}
        content = serialize(narrow, metadata)
    expected = NativeNetwork(serialize(cut, metadata)).run_waveform(recording[:3_000])[0]
    np.testing.assert_array_equal(NativeNetwork(content).run_waveform(recording[:3_000])[0], expected)


def test_errors_have_a_status_and_a_line(library: Any, network: ctypes.c_void_p) -> None:
    content, x, y, size = SMALL.read_bytes(), np.ones(5_000, np.float32), np.empty(9_000, np.float32), 5_000
    bad = x.copy()
    bad[7] = np.inf
    none, written, limit = ctypes.c_float(math.inf), ctypes.c_size_t(), ctypes.c_float(-1)
    sizes = {n: ctypes.c_size_t(n) for n in (0, 10, 1_000, size, len(content))}
    good = StreamSettings(16_000, 8_000, 2_000, 800, 0, 256, math.inf)
    stream = ctypes.c_void_p(library.imse_stream_open(network, ctypes.byref(good), None))
    calls: list[tuple[int, str, Any, tuple[Any, ...]]] = [
        (INVALID_ARGUMENT, "null", library.imse_open, (None, sizes[10], 1)),
        (INVALID_ARGUMENT, "threads must be 1 to 1024", library.imse_open, (content, sizes[len(content)], 0)),
        (UNSUPPORTED_WEIGHTS, "not a safetensors file", library.imse_open, (content, sizes[10], 1)),
        (UNSUPPORTED_WEIGHTS, "not a safetensors file", library.imse_open, (content, sizes[0], 1)),
        (UNSUPPORTED_WEIGHTS, "not a safetensors file", library.imse_open, (content, sizes[1_000], 1)),
        (INVALID_ARGUMENT, "null", library.imse_enhance, (None, pointer(x), sizes[size], none, pointer(y))),
        (INVALID_ARGUMENT, "null", library.imse_enhance, (network, None, sizes[size], none, pointer(y))),
        (INVALID_ARGUMENT, "limit", library.imse_enhance, (network, pointer(x), sizes[size], limit, pointer(y))),
        (INVALID_SIGNAL, "NaN or inf", library.imse_enhance, (network, pointer(bad), sizes[size], none, pointer(y))),
        (INVALID_ARGUMENT, "1600", library.imse_enhance_segment, (network, pointer(x), sizes[1_000], pointer(y), None)),
        (INVALID_ARGUMENT, "must", library.imse_run_waveform, (network, pointer(x), sizes[0], pointer(y), *2 * [None])),
        (INVALID_ARGUMENT, "null", library.imse_stream_open, (network, None)),
        (
            INVALID_SIGNAL, "NaN or infinite", library.imse_stream_feed,
            (stream, pointer(bad), sizes[size], pointer(y), ctypes.byref(written)),
        ),
        (INVALID_ARGUMENT, "null", library.imse_stream_feed, (stream, pointer(x), sizes[size], None, None)),
        (INVALID_ARGUMENT, "null", library.imse_stream_flush, (None, pointer(y), ctypes.byref(written))),
    ]  # fmt: skip
    for changed in (
        {"sample_rate": 7_999}, {"sample_rate": 192_001}, {"window": 100}, {"window": 2**30}, {"window": 2_000},
        {"recomputed": 400}, {"recomputed": 2_001}, {"recomputed": 12_000}, {"hop": 0}, {"hop": 700},
        {"hop": 8_000}, {"look_ahead": -1}, {"look_ahead": 2**31 - 1}, {"fade": -1}, {"attenuation_limit_db": -1},
        {"attenuation_limit_db": math.nan},
    ):  # fmt: skip
        fields = {name: getattr(good, name) for name, *_ in StreamSettings._fields_} | changed
        wrong = StreamSettings(*fields.values())
        calls.append((INVALID_ARGUMENT, "", library.imse_stream_open, (network, ctypes.byref(wrong))))
    for status, text, function, arguments in calls:
        error = Error()
        result = function(*arguments, ctypes.byref(error))
        assert result in (None, status)
        assert error.status == status
        assert text in error.text.decode()
        assert len(error.text.splitlines()) == 1
        assert function(*arguments, None) == result
    library.imse_stream_close(stream)
    for close in (library.imse_close, library.imse_stream_close, library.imse_stream_reset):
        close(None)
