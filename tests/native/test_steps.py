"""Steps of a stream in the library against the network's definition."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from imse import native
from imse.signal.gain import follow_guide, guide_gain
from imse.signal.level import Levelling
from imse.signal.spectrum import BINS, HOP_LENGTH, Floats, analyse, synthesise
from imse.weights import find

pytestmark = pytest.mark.skipif(not native.available(), reason="needs the compiled engine")

WINDOW, RECOMPUTED, HOP, LOOK_AHEAD, HOPS = 4_000, 2_000, 800, 800, 10
LEAD = 300  # samples before the first frame that is computed


def reference(weights: Path, noisy: Floats) -> Floats:
    """What comes out of steps without a cross-fade, of a signal whose length is a multiple of the hop."""
    import torch
    from reference_steps import ReferenceSteps

    from imse.checkpoint import load

    steps = ReferenceSteps(load(weights), RECOMPUTED // HOP_LENGTH, HOP // HOP_LENGTH, WINDOW / 2 / HOP_LENGTH)
    magnitudes = phases = torch.zeros(1, BINS, 0)
    out = []
    for end in range(LOOK_AHEAD + HOP, len(noisy) + 1, HOP):
        known = noisy[max(end - WINDOW, 0) : end]
        window = np.pad(known, (WINDOW - len(known), 0), mode="symmetric")[np.newaxis]
        centred = (window - window.mean(dtype=np.float64)).astype(np.float32)
        gain = Levelling().gain(centred)
        magnitude, phase = (
            torch.from_numpy(part[:, :, LEAD // HOP_LENGTH : -1].astype(np.float32))
            for part in analyse((centred * gain)[:, -RECOMPUTED - LEAD :])
        )
        # Of frames that are not computed only the number matters: layers put back what they made of them.
        known_frames = max(magnitudes.shape[2] - (RECOMPUTED - HOP) // HOP_LENGTH, 0)
        magnitudes = torch.cat([magnitudes[..., :known_frames], magnitude], 2)
        phases = torch.cat([phases[..., :known_frames], phase], 2)
        enhanced, angles = (part.numpy() for part in steps(magnitudes, phases))
        newest = slice(-RECOMPUTED, None)
        waveform = synthesise(enhanced, angles, RECOMPUTED) / gain[:, newest]
        guide = guide_gain(magnitude.numpy(), enhanced, RECOMPUTED)
        waveform = follow_guide(centred[:, newest], waveform, guide)
        out.append(waveform[0, -LOOK_AHEAD - HOP : -LOOK_AHEAD])
    return np.concatenate(out)


def test_steps_are_those_of_the_definition(recording: Floats) -> None:
    """With trained weights nothing becomes louder, so the limit of the level has nothing to do."""
    weights = find("small", ".safetensors")
    noisy = np.ascontiguousarray(recording[: HOPS * HOP])
    settings = native.StreamSettings(16_000, WINDOW, RECOMPUTED, HOP, LOOK_AHEAD, 0, math.inf)
    stream = native.NativeStream(native.NativeNetwork(weights.read_bytes()), settings)
    expected = reference(weights, noisy)
    ours = stream.feed(noisy)
    assert len(ours) == len(expected) == (HOPS - 1) * HOP
    np.testing.assert_allclose(ours, expected, atol=2e-3 * np.abs(expected).max())
