"""Draw docs/network_picture.svg from the network itself: sizes and parameters are read off its modules.

python docs/network_picture.py
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from imse.nn import IMSE, MUSE, Network
from imse.nn.stage import Block, Stage

FRAMES = 16  # any multiple of 16, to see by what each map is divided
WIDTH, HEIGHT, GAP = 132, 76, 24
PLAIN, STAGE = "#eef1f5", "#fdebd0"


class Place(NamedTuple):
    """Column and row of a module's box."""

    column: int
    row: float
    title: str


PLACES = {
    "encoder": Place(0, 0, "dense encoder"),
    "unet.encoder1": Place(1, 0, "encoder 1"),
    "unet.encoder2": Place(2, 1, "encoder 2"),
    "unet.latent": Place(3, 2, "latent"),
    "unet.decoder2": Place(4, 1, "decoder 2"),
    "unet.decoder1": Place(5, 0, "decoder 1"),
    "unet.refine_magnitude": Place(6, -0.5, "refinement"),
    "unet.refine_phase": Place(6, 0.5, "refinement"),
    "magnitude_decoder": Place(7, -0.5, "magnitude decoder"),
    "phase_decoder": Place(7, 0.5, "phase decoder"),
}
ARROWS = [
    ("encoder", "unet.encoder1"),
    ("unet.encoder1", "unet.encoder2"),
    ("unet.encoder2", "unet.latent"),
    ("unet.latent", "unet.decoder2"),
    ("unet.decoder2", "unet.decoder1"),
    ("unet.encoder1", "unet.decoder1"),
    ("unet.encoder2", "unet.decoder2"),
    ("unet.decoder1", "unet.refine_magnitude"),
    ("unet.decoder1", "unet.refine_phase"),
    ("unet.refine_magnitude", "magnitude_decoder"),
    ("unet.refine_phase", "phase_decoder"),
]


def draw() -> str:
    """The picture as SVG."""
    with torch.device("meta"):
        imse, muse = IMSE(), MUSE()
    shapes = output_shapes(imse)
    first, baseline = imse.unet.encoder1, muse.unet.encoder1
    was = f"{kind(baseline.embedding)} and {kind(attention(baseline))}"
    now = f"{kind(first.embedding)} and {kind(attention(first))}"
    lines = [arrow(*ends) for ends in ARROWS]
    for name, place in PLACES.items():
        module, before = imse.get_submodule(name), muse.get_submodule(name)
        texts = [place.title, shapes[name], f"{parameters(module):,}"]
        if isinstance(module, Stage):
            blocks = f"{len(module.blocks)} x ({kind(attention(module))}, FFN)"
            texts = [place.title, shapes[name], f"{kind(module.embedding)}, {blocks}"]
            texts.append(f"{parameters(module):,} (MUSE {parameters(before):,})")
        lines.append(box(place, texts, STAGE if isinstance(module, Stage) else PLAIN))
    notes = f"""\
Channels x frames x bins, and parameters; T frames of {imse.config.bins} bins come in as magnitude and phase.
IMSE has {now} where MUSE has {was}; everything else is the same.
A refinement's output passes a 3x3 convolution, and the dense encoder's is added to it.
The magnitude decoder gives a mask.""".splitlines()
    x, y = left(0), top(2) + HEIGHT + 34
    lines += [f'<text x="{x}" y="{y + 18 * i:g}" text-anchor="start">{note}</text>' for i, note in enumerate(notes)]
    width, height = left(8), y + 18 * len(notes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" height="{height:g}" '
        'font-family="sans-serif" font-size="11" text-anchor="middle">\n'
        '<title>The IMSE network</title>\n<rect width="100%" height="100%" fill="white"/>\n'
        '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0,1 L7,4 L0,7 z"/></marker></defs>\n' + "\n".join(lines) + "\n</svg>\n"
    )


def output_shapes(network: Network) -> dict[str, str]:
    """Channels, frames and bins of each box's output."""
    shapes: dict[str, str] = {}

    def record(name: str, module: nn.Module) -> None:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if output.ndim == 3:  # a decoder's spectrum, [B, bins, T]
                output = output.transpose(1, 2).unsqueeze(1)
            channels, frames, bins = output.shape[1:]
            shapes[name] = f"{channels} x {'T' if frames == FRAMES else f'T/{FRAMES // frames}'} x {bins}"

        module.register_forward_hook(hook)

    for name in PLACES:
        record(name, network.get_submodule(name))
    spectrum = torch.empty(1, network.config.bins, FRAMES, device="meta")
    network(spectrum, spectrum)
    return shapes


def attention(stage: Stage) -> nn.Module:
    """Attention of a stage's first block."""
    block = stage.blocks[0]
    assert isinstance(block, Block)
    return block.attention


def kind(module: nn.Module) -> str:
    """A part's name in the papers."""
    return {"DeformableEmbedding": "DE"}.get(type(module).__name__, type(module).__name__)


def parameters(module: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def left(column: int) -> float:
    """X of a column's left edge."""
    return GAP + column * (WIDTH + GAP)


def top(row: float) -> float:
    """Y of a row's upper edge."""
    return GAP + (row + 0.5) * (HEIGHT + GAP)


def box(place: Place, texts: list[str], colour: str) -> str:
    """A box with a bold title."""
    x, y = left(place.column), top(place.row)
    middle = x + WIDTH / 2
    lines = [f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{colour}" stroke="#555"/>']
    for i, text in enumerate(texts):
        weight, size = ("bold", 11) if i == 0 else ("normal", 10 if len(text) < 20 else 9.5)
        lines.append(
            f'<text x="{middle:g}" y="{y + 18 + 16 * i:g}" font-weight="{weight}" font-size="{size}">{text}</text>'
        )
    return "\n".join(lines)


def arrow(start: str, end: str) -> str:
    """From a box's right side to another's left side."""
    a, b = PLACES[start], PLACES[end]
    x1, y1 = left(a.column) + WIDTH, top(a.row) + HEIGHT / 2
    x2, y2 = left(b.column), top(b.row) + HEIGHT / 2
    return f'<path d="M{x1:g},{y1:g} L{x2:g},{y2:g}" stroke="black" fill="none" marker-end="url(#head)"/>'


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(), encoding="utf-8")
