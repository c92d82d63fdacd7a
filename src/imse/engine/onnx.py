"""The network in ONNX Runtime: no torch, no GPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from imse.engine.interface import Enhanced
from imse.errors import ImseError
from imse.signal.spectrum import BINS, Floats, analyse, synthesise

INPUTS = ("magnitude", "phase")
OUTPUTS = ("enhanced_magnitude", "enhanced_phase")


class OnnxEngine:
    """An ONNX file written by `imse export`.

    Args:
        weights: The file.
        threads: Processor threads that one call uses.

    Raises:
        ImseError: The file is not one.
    """

    # A processor gains nothing from larger batches, which only take more memory.
    batch = 1

    def __init__(self, weights: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
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
        self._weights = weights
        nodes = (*self._session.get_inputs(), *self._session.get_outputs())
        if tuple(node.name for node in nodes) != (*INPUTS, *OUTPUTS):
            raise self._foreign()
        for node in nodes:
            # A size may be left open, by a name; what comes out is checked after every run.
            bins = node.shape[1] if len(node.shape) == 3 else 0
            if node.type != "tensor(float)" or (isinstance(bins, int) and bins != BINS):
                raise self._foreign()

    def __call__(self, waveform: Floats) -> Enhanced:
        """See `imse.engine.interface.Engine`."""
        magnitude, phase = analyse(waveform)
        enhanced, enhanced_phase = self.run(magnitude, phase)
        return Enhanced(synthesise(enhanced, enhanced_phase, waveform.shape[1]), magnitude, enhanced)

    def run(self, magnitude: Floats, phase: Floats) -> tuple[Floats, Floats]:
        """The network alone: compressed magnitude and phase, [B, bins, T] each, to the same."""
        inputs = dict(zip(INPUTS, (magnitude, phase), strict=True))
        try:
            enhanced, enhanced_phase = self._session.run(OUTPUTS, inputs)
        except Exception as error:  # onnxruntime's own exceptions have no common base
            raise ImseError(f"{self._weights}: ONNX Runtime cannot run it: {str(error).splitlines()[0]}") from error
        if not enhanced.shape == enhanced_phase.shape == magnitude.shape:
            raise self._foreign()
        return enhanced, enhanced_phase

    def _foreign(self) -> ImseError:
        return ImseError(f"{self._weights}: an ONNX file, but not one that 'imse export' wrote")
