"""The loudness-domain loss: its scales against the literature, and that it ranks sounds as PESQ does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imse.train.perceptual import PerceptualLoss, bark, hearing_threshold_db


@pytest.fixture(scope="module")
def loss() -> PerceptualLoss:
    return PerceptualLoss()


def power(seed: int = 0) -> Tensor:
    shape = torch.linspace(3, -3, 256).exp().view(1, -1, 1)  # speech falls with frequency
    return shape * torch.rand(2, 256, 30, generator=torch.Generator().manual_seed(seed))


def test_bark_scale() -> None:
    assert bark(torch.tensor([100.0, 1_000.0, 5_300.0])).tolist() == pytest.approx([0.77, 8.53, 19.04], abs=0.02)


def test_hearing_is_best_at_a_few_kilohertz() -> None:
    hertz = torch.arange(100.0, 8_000.0, 50.0)
    assert 3_000 < hertz[hearing_threshold_db(hertz).argmin()] < 4_000
    assert hearing_threshold_db(torch.tensor(1_000.0)).item() == pytest.approx(3.4, abs=0.1)


def test_every_bin_between_80_and_7900_hertz_is_in_the_bands_once(loss: PerceptualLoss) -> None:
    assert (loss.bands.sum(1) > 0).all()
    assert loss.bands.sum(0)[4:250].tolist() == pytest.approx([1.0] * 246, abs=1e-4)


def test_one_sone_at_1_khz_and_40_db(loss: PerceptualLoss) -> None:
    band = int(loss.bands[:, round(1_000 / (16_000 / 510))].argmax())
    one_tone = torch.zeros(1, 49, 1)
    one_tone[0, band] = 1e4
    # Loudness is per Bark; a tone's spreads over about one Bark here.
    assert loss.loudness(one_tone)[0, band].item() == pytest.approx(1, rel=0.5)


def test_equal_sounds_do_not_disturb(loss: PerceptualLoss) -> None:
    assert loss(power(), power()).item() == pytest.approx(0, abs=5e-3)


def test_more_noise_disturbs_more_and_added_noise_more_than_a_loss(loss: PerceptualLoss) -> None:
    clean, noise = power(), power(1)
    added = [loss(clean + gain * noise, clean).item() for gain in (0.1, 0.3, 1.0)]
    assert added == sorted(added)
    assert loss(clean * 4, clean) > loss(clean / 4, clean)


def test_gradient_is_finite_also_in_silence(loss: PerceptualLoss) -> None:
    estimate = power()
    estimate[:, :, :10] = 0
    estimate.requires_grad_()
    loss(estimate, torch.zeros(2, 256, 30)).backward()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()
