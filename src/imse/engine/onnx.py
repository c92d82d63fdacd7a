"""The network in ONNX Runtime: no torch, no GPU."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import onnxruntime

from imse.engine.interface import Enhanced
from imse.errors import ImseError
from imse.export import INPUTS, OUTPUTS
from imse.processors import usable_threads
from imse.signal.spectrum import Floats, analyse, synthesise


class OnnxEngine:
    """An ONNX file written by `imse export`.

    Args:
        weights: The file.
        threads: Processor threads that one call uses, at most as many as this process has processors.

    Raises:
        ImseError: The file is not one, or `threads` is not a whole number from 1 up.
    """

    # A processor gains nothing from larger batches, which only take more memory.
    batch = 1

    def __init__(self, weights: Path, threads: int = 1) -> None:
        self.name = str(weights)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_threads(threads)
        options.inter_op_num_threads = 1
        # Planning a call's memory as one block, from the second call of a shape on, takes more of it and no less time.
        options.enable_mem_pattern = False
        options.log_severity_level = 4  # what is wrong is said in one line, below
        try:
            self._session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions have no common base
            raise ImseError(
                f"{weights}: not an ONNX file; safetensors and published weights need --engine torch, "
                "or 'imse export' first"
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        names = tuple(node.name for node in inputs), tuple(node.name for node in outputs)
        if names != (INPUTS, OUTPUTS) or {node.type for node in (*inputs, *outputs)} != {"tensor(float)"}:
            raise ImseError(f"{weights}: an ONNX file, but not one that 'imse export' wrote")

    def __call__(self, waveform: Floats) -> Enhanced:
        """See `imse.engine.interface.Engine`."""
        magnitude, phase = analyse(waveform)
        enhanced, enhanced_phase = self.run(magnitude, phase)
        return Enhanced(synthesise(enhanced, enhanced_phase, waveform.shape[1]), magnitude, enhanced)

    def run(self, magnitude: Floats, phase: Floats) -> tuple[Floats, Floats]:
        """The network alone: compressed magnitude and phase, [B, bins, T] each, to the same.

        Raises:
            ImseError: ONNX Runtime cannot run the network on such input, or its outputs have another shape.
        """
        inputs = dict(zip(INPUTS, (magnitude, phase), strict=True))
        try:
            enhanced, enhanced_phase = self._session.run(OUTPUTS, inputs)
        except Exception as error:  # onnxruntime's own exceptions have no common base
            raise ImseError(f"{self.name}: cannot be run: {textwrap.shorten(str(error), 200)}") from error
        for shape in (np.shape(enhanced), np.shape(enhanced_phase)):
            if shape != magnitude.shape:
                raise ImseError(
                    f"{self.name}: not a network of imse: it turns {list(magnitude.shape)} into {list(shape)}"
                )
        return enhanced, enhanced_phase
