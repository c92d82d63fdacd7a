"""Size and parts of a network of the IMSE family."""

from __future__ import annotations

from dataclasses import dataclass

from imse.nn.parts import ATTENTIONS, EMBEDDINGS


@dataclass(frozen=True)
class NetworkConfig:
    """What it takes to build a network; the defaults are IMSE's published setting.

    A checkpoint in our own format carries these fields, so that a file alone says which network it belongs to.

    Attributes:
        channels: Width c of the widest-resolution level, a multiple of 8; the deeper levels have 2c and 3c.
        blocks: Transformer blocks in each of the seven stages.
        bins: Frequency bins of the spectrum, a multiple of 8 (they are halved three times); 256 for ``n_fft`` 510.
        attention: Name of the attention in every block, a key of `imse.nn.parts.ATTENTIONS`.
        embedding: Name of the embedding that opens every stage, a key of `imse.nn.parts.EMBEDDINGS`.

    Raises:
        ValueError: A size that the network cannot have, or a part that does not exist.
    """

    channels: int = 16
    blocks: int = 4
    bins: int = 256
    attention: str = "mala"
    embedding: str = "idconv"

    def __post_init__(self) -> None:
        if self.channels < 8 or self.channels % 8:
            raise ValueError(f"channels must be a positive multiple of 8, not {self.channels}")
        if self.blocks < 1:
            raise ValueError(f"blocks must be at least 1, not {self.blocks}")
        if self.bins < 8 or self.bins % 8:
            raise ValueError(f"bins must be a positive multiple of 8, not {self.bins}")
        if self.attention not in ATTENTIONS:
            raise ValueError(f"attention must be one of {', '.join(ATTENTIONS)}, not {self.attention}")
        if self.embedding not in EMBEDDINGS:
            raise ValueError(f"embedding must be one of {', '.join(EMBEDDINGS)}, not {self.embedding}")
