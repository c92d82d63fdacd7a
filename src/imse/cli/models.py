"""`imse models`."""

from __future__ import annotations

import click


@click.command()
def models() -> None:
    """List the weights in the package: parameters, cost, licence, quality.

    GMAC/s is billions of multiply-accumulates per second of audio. PESQ (wide-band) and STOI are means over test pairs
    of two corpora, VoiceBank+DEMAND and DNS Challenge.

    Example: imse enhance noisy.wav --weights small
    """
    from imse.info import packaged

    click.echo(packaged())
    click.echo("\nimse enhance --weights NAME uses one; imse info --weights NAME describes it.")
