"""Networks as ONNX files, which run without torch: the inference form of a network, and the graph of its operations.

This module has what the writer of such a file and its readers agree on. Nothing heavy is imported here.
"""

from __future__ import annotations

INPUTS = ("magnitude", "phase")
OUTPUTS = ("enhanced_magnitude", "enhanced_phase")
"""Names in the graph. All four are float32 [batch, bins, frames] with free batch and frames."""
