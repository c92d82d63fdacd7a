"""Impulse responses of random rooms, simulated once per run by pyroomacoustics (image sources and ray tracing off)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from imse.signal.spectrum import SAMPLE_RATE

_SECONDS = 0.6
_EARLY_SECONDS = 0.05  # reflections that the ear takes as part of the direct sound
_SMALLEST, _LARGEST = np.array([3.0, 3.0, 2.4]), np.array([9.0, 7.0, 3.5])  # metres
_REVERBERATION = (0.15, 0.6)  # seconds to -60 dB


def simulate(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Impulse responses of `count` shoebox rooms, a talker and a microphone at random places in each.

    Args:
        count: Rooms.
        seed: The same seed gives the same rooms.

    Returns:
        Whole responses and their early parts (the first 50 ms), [count, taps] each. The direct sound is the first tap
        with amplitude 1, so that a placed voice keeps its time and level.
    """
    draw = np.random.default_rng(seed)
    taps, early = int(_SECONDS * SAMPLE_RATE), int(_EARLY_SECONDS * SAMPLE_RATE)
    responses = torch.zeros(count, taps)
    for room in range(count):
        response = torch.from_numpy(_response(draw)[:taps])
        responses[room, : len(response)] = response
    beginning = responses.clone()
    beginning[:, early:] = 0
    return responses, beginning


def _response(draw: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    import pyroomacoustics as pra

    size = draw.uniform(_SMALLEST, _LARGEST)
    # Sabine's formula has no solution where a large room would have to be very dead: ask for longer there.
    reverberation = max(draw.uniform(*_REVERBERATION), 0.2 * float(np.prod(size) / 60))
    absorption, order = pra.inverse_sabine(reverberation, size)
    room = pra.ShoeBox(size, fs=SAMPLE_RATE, materials=pra.Material(absorption), max_order=min(order, 20))
    room.add_source(draw.uniform(0.5, size - 0.5))
    room.add_microphone(draw.uniform(0.5, size - 0.5))
    room.compute_rir()
    response = np.asarray(room.rir[0][0], dtype=np.float32)
    direct = int(np.abs(response).argmax())
    onset: np.ndarray[tuple[int], np.dtype[np.float32]] = response[direct:] / response[direct]
    return onset
