"""Which terms are computed, and what they share."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from imse.nn.spectrum import stft
from imse.train.mixing import Batch
from imse.train.objective import Objective, Spectra, estimate
from imse.train.recipe import LossConfig
from train.conftest import voice


def objective(**weights: float) -> Objective:
    """The objective of the given weights, all others being 0."""
    off = {"magnitude": 0.0, "phase": 0.0, "complex": 0.0, "metric": 0.0}
    return Objective(LossConfig(**(off | weights)), torch.device("cpu"))  # type: ignore[arg-type]


@pytest.fixture
def batch() -> Batch:
    clean = torch.stack([torch.from_numpy(voice(pitch, 0.5)) for pitch in (110, 180)]) / 0.1
    noise = 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    return Batch(noisy=clean + noise, clean=clean, taught=torch.zeros(len(clean), dtype=torch.bool))


@pytest.fixture
def spectra(batch: Batch) -> Spectra:
    """Those of a network that halves its input."""

    def halve(magnitude: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        return magnitude * 0.5**0.3, phase

    return estimate(halve, batch)


@pytest.mark.parametrize(
    "name",
    ["magnitude", "phase", "complex", "consistency", "perceptual", "si_sdr", "intelligibility", "level"],
)
def test_a_term_is_there_where_it_has_a_weight(name: str, batch: Batch, spectra: Spectra) -> None:
    calculate = objective(**{name: 2.0})
    terms = calculate(spectra, batch)
    assert list(terms) == [name]
    assert terms[name].isfinite()
    assert calculate.total(terms).item() == pytest.approx(2 * terms[name].item())


def test_terms_on_the_waveform_share_its_spectrum(
    batch: Batch, spectra: Spectra, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(waveform: Tensor) -> Tensor:
        calls.append(waveform)
        return stft(waveform)

    monkeypatch.setattr("imse.train.objective.stft", counted)
    terms = objective(consistency=1, perceptual=1, si_sdr=1, intelligibility=1, level=1)(spectra, batch)
    assert (len(calls), len(terms)) == (1, 5)


def test_level_of_half_the_target(batch: Batch, spectra: Spectra) -> None:
    half = replace(spectra, estimate=(spectra.clean[0] * 0.5**0.3, spectra.clean[1]))
    terms = objective(level=1)(half, batch)
    assert terms["level"].item() == pytest.approx(0.60206**2, rel=0.005)


def test_spectra_of_a_waveform_are_consistent(batch: Batch, spectra: Spectra) -> None:
    terms = objective(consistency=1)(spectra, batch)
    assert terms["consistency"].item() == pytest.approx(0, abs=1e-6)
