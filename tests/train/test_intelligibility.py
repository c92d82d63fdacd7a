"""The loss of intelligibility: against values worked out by hand, and against STOI on real mixtures."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from imse.evaluate.pesq_stoi import stoi
from imse.nn.spectrum import stft
from imse.signal.spectrum import Floats
from imse.train.intelligibility import IntelligibilityLoss, segment_correlation
from train.conftest import voice

SNR_DB = (-5, 0, 5, 10, 15)


@pytest.fixture(scope="module")
def loss() -> IntelligibilityLoss:
    return IntelligibilityLoss()


@pytest.fixture(scope="module")
def mixtures(data: Path) -> list[tuple[Floats, Floats]]:
    """Pairs of clean and noisy: eight voices in eight noises, each at all of `SNR_DB`."""
    folder = data / "train"
    with (folder / "MANIFEST.tsv").open() as manifest:
        rows = list(csv.DictReader(manifest, delimiter="\t"))
    speech = [row["file"] for row in rows if row["kind"] == "speech" and 2 < float(row["seconds"]) < 5]
    noise = [row["file"] for row in rows if row["kind"] == "noise" and float(row["seconds"]) > 8]
    pairs = []
    for number in range(8):
        clean, background = (
            soundfile.read(folder / files[number * len(files) // 8], dtype="float32")[0] for files in (speech, noise)
        )
        background = background[: len(clean)] * np.sqrt(np.mean(clean**2) / np.mean(background[: len(clean)] ** 2))
        pairs += [(clean, clean + background * np.float32(10 ** (-snr_db / 20))) for snr_db in SNR_DB]
    return pairs


def power(waveform: Floats, rms: float = 1.0) -> Tensor:
    """Power spectrum of one utterance after division by `rms`."""
    return stft(torch.from_numpy(waveform / np.float32(rms))[None]).abs().square()


def intelligibility(loss: IntelligibilityLoss, clean: Floats, noisy: Floats) -> float:
    rms = float(np.sqrt(np.mean(noisy**2)))
    return 1 - float(loss(power(noisy, rms), power(clean, rms)))


def envelopes(*values: float) -> Tensor:
    return torch.tensor([[values]])


def test_correlation_by_hand() -> None:
    # Energies 18 and 40, less the means: (-1, 0, 1, 0) and sqrt(18 / 40) * (-1, -1, 1, 1); 2 * 0.67 / sqrt(2 * 1.8).
    correlation, weight = segment_correlation(envelopes(1, 2, 3, 2), envelopes(2, 2, 4, 4), torch.tensor([4]))
    assert correlation.item() == pytest.approx(0.5**0.5, abs=1e-4)
    assert weight.tolist() == [[1]]


def test_what_is_added_in_a_gap_is_clipped_to_minus_15_db() -> None:
    correlation, _ = segment_correlation(envelopes(1, 0, 1, 0), envelopes(1, 9, 1, 0), torch.tensor([4]))
    assert correlation.item() == pytest.approx(1, abs=3e-3)  # 9 becomes 0; the floor takes a little
    # Energies 1.01 and 82: 9 becomes 0.9988, of which 0.1 * (1 + 10 ** 0.75) = 0.6623 is left, beside 0.1110.
    correlation, _ = segment_correlation(envelopes(0.1, 1.0), envelopes(9, 1), torch.tensor([2]))
    assert correlation.item() == pytest.approx(-1, abs=1e-3)
    three, _ = segment_correlation(envelopes(0.1, 1.0, 0.0), envelopes(9, 1, 0), torch.tensor([3]))
    clipped = np.corrcoef([0.1, 1.0, 0.0], [0.6623, 0.1110, 0.0])[0, 1]
    assert three.item() == pytest.approx(clipped, abs=1e-3)


def test_frames_without_speech_do_not_count() -> None:
    generator = torch.Generator().manual_seed(0)
    clean, estimate = torch.rand(2, 2, 15, 70, generator=generator)
    some, weight = segment_correlation(clean, estimate, torch.tensor([40, 66]))
    assert weight.tolist() == [[1, 0, 0, 0, 0], [1, 1, 1, 0, 0]]  # segments of 61 frames start at 0, 2, 4, ...
    alone, _ = segment_correlation(clean[:1, :, :40], estimate[:1, :, :40], torch.tensor([40]))
    torch.testing.assert_close(some[:1, :, :1], alone)


def test_silence_between_words_and_the_level_do_not_matter(loss: IntelligibilityLoss) -> None:
    spoken, generator = voice(120, 2.0), np.random.default_rng(0)
    noisy = spoken + 0.05 * generator.standard_normal(len(spoken)).astype(np.float32)
    clean, estimate = power(spoken, 0.05), power(noisy, 0.05)
    pause, hiss = torch.zeros(1, 256, 50), estimate.flip(2)[..., :50]
    expected = loss(estimate, clean).item()
    with_pause = loss(torch.cat([estimate, hiss], 2), torch.cat([clean, pause], 2)).item()
    assert with_pause == pytest.approx(expected, abs=1e-5)
    assert loss(4 * estimate, clean).item() == pytest.approx(expected, abs=1e-3)


def test_bands_are_third_octaves_of_which_none_is_empty(loss: IntelligibilityLoss) -> None:
    width = loss.bands.sum(1) * 16_000 / 510
    centre = 150 * 2 ** (torch.arange(15) / 3)
    torch.testing.assert_close(width, centre * (2 ** (1 / 6) - 2 ** (-1 / 6)))


def test_equal_sounds_lose_nothing(loss: IntelligibilityLoss, recording: Floats) -> None:
    sound = power(recording, 0.1)
    assert loss(sound, sound).item() == pytest.approx(0, abs=1e-3)


def test_it_rises_with_the_signal_to_noise_ratio(
    loss: IntelligibilityLoss, mixtures: list[tuple[Floats, Floats]]
) -> None:
    scores = [intelligibility(loss, clean, noisy) for clean, noisy in mixtures]
    for start in range(0, len(scores), len(SNR_DB)):
        of_one = scores[start : start + len(SNR_DB)]
        assert of_one == sorted(of_one)


def test_it_is_close_to_stoi(loss: IntelligibilityLoss, mixtures: list[tuple[Floats, Floats]]) -> None:
    ours = np.array([intelligibility(loss, clean, noisy) for clean, noisy in mixtures])
    theirs = np.array([stoi(clean, noisy) for clean, noisy in mixtures])
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert np.abs(ours - theirs).mean() < 0.01


@pytest.mark.parametrize("frames", [1, 2, 30, 61, 62, 100])
@pytest.mark.parametrize("target", ["speech", "silence"])
@pytest.mark.parametrize("output", ["noise", "silence", "nearly silence", "target"])
def test_gradient_is_finite(loss: IntelligibilityLoss, frames: int, target: str, output: str) -> None:
    noise = 1e3 * torch.rand(2, 2, 256, frames, generator=torch.Generator().manual_seed(0)).square()
    clean = noise[0] * (target == "speech")
    clean[..., frames // 2 :] = 0
    spectrum = {"noise": noise[1], "silence": 0 * noise[1], "nearly silence": 1e-20 * noise[1], "target": clean}[output]
    amplitude = spectrum.sqrt().requires_grad_()
    value = loss(amplitude.square(), clean)
    value.backward()
    assert amplitude.grad is not None
    assert value.isfinite()
    assert amplitude.grad.isfinite().all()
    if target == "silence":
        assert value.item() == 0
