"""Size and parts of a network of the IMSE family."""

from __future__ import annotations

from dataclasses import dataclass

from imse.nn.constants import HEAD_SIZE, LEVELS
from imse.nn.parts import ATTENTIONS, EMBEDDINGS


@dataclass(frozen=True)
class NetworkConfig:
    """All that is needed to build a network. The defaults are IMSE's published configuration.

    A safetensors file of weights holds these fields in its metadata, so that it can be loaded without further
    information.

    Attributes:
        channels: Channels c at the full resolution, a multiple of 8; the two lower resolutions have 2c and 3c.
        blocks: Transformer blocks in each of the seven stages.
        bins: Frequency bins of the spectrum, a multiple of 8, since they are halved three times; 256 for ``n_fft`` 510.
        attention: Name of the attention in every block, a key of `imse.nn.parts.ATTENTIONS`.
        embedding: Name of the embedding at the start of every stage, a key of `imse.nn.parts.EMBEDDINGS`.

    Raises:
        ValueError: A size is not possible, or a part does not exist.
    """

    channels: int = 16
    blocks: int = 4
    bins: int = 256
    attention: str = "mala"
    embedding: str = "idconv"

    def __post_init__(self) -> None:
        if self.channels < HEAD_SIZE or self.channels % HEAD_SIZE:
            raise ValueError(f"channels must be a positive multiple of {HEAD_SIZE}, not {self.channels}")
        if self.blocks < 1:
            raise ValueError(f"blocks must be at least 1, not {self.blocks}")
        if self.bins < 2**LEVELS or self.bins % 2**LEVELS:
            raise ValueError(f"bins must be a positive multiple of {2**LEVELS}, not {self.bins}")
        if self.attention not in ATTENTIONS:
            raise ValueError(f"attention must be one of {', '.join(ATTENTIONS)}, not {self.attention}")
        if self.embedding not in EMBEDDINGS:
            raise ValueError(f"embedding must be one of {', '.join(EMBEDDINGS)}, not {self.embedding}")
