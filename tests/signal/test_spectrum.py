"""The same signal model in numpy and in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imse.nn import spectrum as torch_spectrum
from imse.signal import spectrum

Floats = NDArray[np.float32]


def numpy_analyse(x: Floats) -> tuple[Floats, Floats]:
    return spectrum.analyse(x)


def torch_analyse(x: Floats) -> tuple[Floats, Floats]:
    magnitude, phase = torch_spectrum.analyse(torch.from_numpy(x))
    return magnitude.numpy(), phase.numpy()


def numpy_synthesise(magnitude: Floats, phase: Floats, samples: int) -> Floats:
    return spectrum.synthesise(magnitude, phase, samples)


def torch_synthesise(magnitude: Floats, phase: Floats, samples: int) -> Floats:
    return torch_spectrum.synthesise(torch.from_numpy(magnitude), torch.from_numpy(phase), samples).numpy()


ANALYSE = [numpy_analyse, torch_analyse]
SYNTHESISE = [numpy_synthesise, torch_synthesise]


def noise(batch: int, samples: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((batch, samples)).astype(np.float32)


@pytest.mark.parametrize("analyse", ANALYSE)
def test_agrees_with_torch_stft(analyse: object, recording: Floats) -> None:
    assert callable(analyse)
    x = recording[np.newaxis]
    magnitude, phase = analyse(x)
    expected = torch.stft(torch.from_numpy(x), 510, 100, window=torch.hann_window(510), return_complex=True).numpy()
    assert magnitude.shape == expected.shape == (1, 256, 1 + x.shape[1] // 100)
    np.testing.assert_allclose(magnitude ** (1 / 0.3) * np.exp(1j * phase), expected, atol=1e-4)


@pytest.mark.parametrize("analyse", ANALYSE)
@pytest.mark.parametrize("synthesise", SYNTHESISE)
def test_synthesis_inverts_analysis(analyse: object, synthesise: object, recording: Floats) -> None:
    assert callable(analyse)
    assert callable(synthesise)
    x = recording[np.newaxis]
    np.testing.assert_allclose(synthesise(*analyse(x), x.shape[1]), x, atol=1e-5)


@given(samples=st.integers(256, 3_000), batch=st.integers(1, 3), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_numpy_and_torch_agree(samples: int, batch: int, seed: int) -> None:
    x = noise(batch, samples, seed)
    (ours, our_phase), (theirs, their_phase) = numpy_analyse(x), torch_analyse(x)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    np.testing.assert_allclose(ours * np.exp(1j * our_phase), theirs * np.exp(1j * their_phase), atol=2e-3)
    ours_back, theirs_back = numpy_synthesise(ours, our_phase, samples), torch_synthesise(ours, our_phase, samples)
    np.testing.assert_allclose(ours_back, theirs_back, atol=1e-4)


@pytest.mark.parametrize("analyse", ANALYSE)
def test_real_bins_have_phase_zero_or_plus_pi(analyse: object) -> None:
    assert callable(analyse)
    _, phase = analyse(noise(4, 10_000))
    edges = phase[:, [0, -1]]
    assert set(np.unique(edges)) == {np.float32(0), np.float32(np.pi)}


@pytest.mark.parametrize("analyse", ANALYSE)
def test_silence(analyse: object) -> None:
    assert callable(analyse)
    magnitude, phase = analyse(np.zeros((1, 1_000), np.float32))
    assert not magnitude.any()
    assert np.isfinite(phase).all()


@pytest.mark.parametrize("samples", [1, 2, 100, 255])
def test_numpy_takes_less_than_half_a_window(samples: int) -> None:
    x = noise(1, samples)
    np.testing.assert_allclose(spectrum.synthesise(*spectrum.analyse(x), samples), x, atol=1e-5)


def test_gradient_is_finite_in_silence() -> None:
    x = torch.zeros(1, 1_000)
    x[0, 600:] = torch.randn(400)
    x.requires_grad_()
    magnitude, phase = torch_spectrum.analyse(x)
    (magnitude.sum() + phase.sum()).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
