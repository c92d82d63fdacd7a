"""Every term of the objective against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from imse.train import losses
from imse.train.discriminator import ScoredBatch, discriminator_loss, metric_loss


def test_magnitude_is_the_mean_squared_error() -> None:
    estimate, clean = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 4.0]]])
    assert losses.magnitude_loss(estimate, clean).item() == pytest.approx((4 + 9) / 4)


@pytest.mark.parametrize(
    ("angle", "distance"),
    [(0.0, 0.0), (0.5, 0.5), (-0.5, 0.5), (math.pi, math.pi), (2 * math.pi + 0.25, 0.25), (-4 * math.pi - 1, 1.0)],
)
def test_anti_wrapping_is_the_distance_from_a_whole_turn(angle: float, distance: float) -> None:
    assert losses.anti_wrap(torch.tensor(angle)).item() == pytest.approx(distance, abs=1e-5)


def test_phase_counts_the_phase_and_its_two_differences() -> None:
    # Rows are bins, columns frames. Error: [[0.1, 0.3], [-0.2, 0.4]].
    clean = torch.tensor([[[1.0, -2.0], [0.5, 3.0]]])
    estimate = clean + torch.tensor([[[0.1, 0.3], [-0.2, 0.4]]])
    phase = (0.1 + 0.3 + 0.2 + 0.4) / 4
    group_delay = (0.1 + 0.3 + 0.3 + 0.1) / 4  # first bin itself, then |-0.2 - 0.1| and |0.4 - 0.3|
    angular_frequency = (0.1 + 0.2 + 0.2 + 0.6) / 4  # first frame itself, then |0.3 - 0.1| and |0.4 + 0.2|
    expected = phase + group_delay + angular_frequency
    assert losses.phase_loss(estimate, clean).item() == pytest.approx(expected, abs=1e-6)


def test_phase_ignores_whole_turns() -> None:
    clean = torch.rand(1, 5, 7)
    turned = clean + 2 * math.pi * torch.randint(-2, 3, clean.shape)
    assert losses.phase_loss(turned, clean).item() == pytest.approx(0, abs=1e-5)


def test_complex_is_the_mean_squared_error_of_both_parts() -> None:
    estimate = losses.cartesian(torch.tensor([[[2.0]]]), torch.tensor([[[math.pi / 2]]]))
    clean = losses.cartesian(torch.tensor([[[1.0]]]), torch.tensor([[[0.0]]]))
    assert losses.complex_loss(estimate, clean).item() == pytest.approx((1 + 4) / 2)


def test_consistency_is_the_distance_of_two_spectra() -> None:
    spectrum = torch.zeros(1, 2, 1, 2)
    other = torch.tensor([[[[3.0, 0.0]], [[0.0, 1.0]]]])
    assert losses.consistency_loss(spectrum, other).item() == pytest.approx(10 / 4)


def test_si_sdr_of_an_error_at_right_angles() -> None:
    clean = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    estimate = 3 * clean + torch.tensor([[0.0, 0.3, 0.0, 0.3]])  # 20 dB, whatever the level
    assert losses.si_sdr_loss(estimate, clean).item() == pytest.approx(-20, abs=1e-4)


def spoken(pauses: float = 0.0) -> Tensor:
    """Power spectrum [1, 256, 4]: two frames of speech, then two of the given power."""
    power = torch.full((1, 256, 4), pauses)
    power[..., :2] = torch.tensor([300.0, 100.0])
    return power


def test_level_in_bel() -> None:
    clean = spoken()
    assert losses.level_loss(clean, clean).item() == 0
    half = losses.level_loss(0.5**2 * clean, clean).item()
    assert half == pytest.approx((6.0206 / 10) ** 2, rel=2e-3)
    assert losses.level_loss(10**0.1 * clean, clean).item() == pytest.approx(0.01, rel=2e-3)
    both = losses.level_loss(torch.cat([0.25 * clean, clean]), torch.cat([clean, clean])).item()
    assert both == pytest.approx(half / 2)


def test_level_is_that_of_the_frames_with_speech() -> None:
    clean, estimate = spoken(pauses=0.029), spoken(pauses=50.0)
    assert losses.level_loss(estimate, clean).item() == pytest.approx(0, abs=1e-6)
    # Within 40 dB of the loudest frame: (300 + 100 + 2 * 50) / (300 + 100 + 2 * 0.031).
    audible = losses.level_loss(estimate, spoken(pauses=0.031)).item()
    assert audible == pytest.approx(math.log10(500 / 400.062) ** 2, rel=2e-3)


@pytest.mark.parametrize("level", [0.0, 1e-6])
def test_silence_has_no_level(level: float) -> None:
    estimate = spoken().requires_grad_()
    loss = losses.level_loss(estimate, level * spoken())
    (gradient,) = torch.autograd.grad(loss, estimate)
    assert loss.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize("level", [0.0, 1e-15, 1e15])
def test_level_of_nearly_silence_has_a_bounded_gradient(level: float) -> None:
    amplitude = (level * spoken()).sqrt().requires_grad_()
    loss = losses.level_loss(amplitude.square(), spoken())
    (gradient,) = torch.autograd.grad(loss, amplitude)
    assert gradient.isfinite().all()
    assert gradient.abs().max() < 10
    assert level > 1 or loss.item() == pytest.approx(4**2, rel=1e-3)


class _Fixed(torch.nn.Module):
    """Scores 1 for a clean pair less 0.1, and 0.4 for any other."""

    def forward(self, clean: Tensor, other: Tensor) -> Tensor:
        same = (clean == other).all(dim=2).all(dim=1)
        return torch.where(same, 0.9, 0.4)


def test_discriminator_learns_one_for_clean_and_pesq_for_the_rest() -> None:
    scored = ScoredBatch(torch.zeros(2, 3, 4), torch.ones(2, 3, 4), torch.tensor([0.5, 0.8]))
    expected = 0.1**2 + (0.1**2 + 0.4**2) / 2
    assert discriminator_loss(_Fixed(), scored).item() == pytest.approx(expected, abs=1e-6)


def test_discriminator_leaves_out_a_batch_where_pesq_failed() -> None:
    scored = ScoredBatch(torch.zeros(2, 3, 4), torch.ones(2, 3, 4), torch.tensor([0.5, math.nan]))
    assert discriminator_loss(_Fixed(), scored).item() == pytest.approx(0.1**2, abs=1e-6)


def test_metric_term_wants_a_score_of_one() -> None:
    assert metric_loss(_Fixed(), torch.zeros(2, 3, 4), torch.ones(2, 3, 4)).item() == pytest.approx(0.6**2)
