"""`imse live`."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from imse.audio.callbacks import heeded_interrupts
from imse.cli.output import overwrite_option
from imse.enhancer import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS
from imse.errors import ImseError, counted, printable
from imse.live.pipes import TYPES
from imse.weights import DEFAULT

if TYPE_CHECKING:
    from imse.live.devices import Device
    from imse.live.enhancement import Wish
    from imse.live.session import Session

_RAW = "-"
_RAW_RATE, _RAW_TYPE = 16_000, "int16"


@click.command()
@click.argument("source", metavar="[INPUT", required=False)
@click.argument("sink", metavar="[OUTPUT]]", required=False)
@click.option("--list", "listing", is_flag=True, help="List the devices, and end.")
@click.option("--virtual-mic", is_flag=True, help="Make a microphone for other programs (Linux), instead of an output.")
@click.option(
    "--latency", type=click.FloatRange(0), default=140.0, metavar="MS", help="The most that the network may wait."
)
@click.option(
    "--attenuation-limit",
    type=click.FloatRange(0),
    metavar="DB",
    help="Turn noise down by this many dB at most; 0 changes nothing.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the input to this file, and the output beside it: talk.wav, talk.enhanced.wav.",
)
@overwrite_option
@click.option("--weights", default=DEFAULT, metavar="NAME|FILE", help="Weights in the package, or a file.")
@click.option("--threads", type=click.IntRange(1), default=1, metavar="N", help="Processor threads of the network.")
@click.option(
    "--rate",
    type=click.IntRange(LOWEST_RATE, HIGHEST_RATE),
    metavar="HZ",
    show_default=f"the input's; {_RAW_RATE} of raw samples",
    help="Sample rate.",
)
@click.option("--channels", type=click.IntRange(1, MOST_CHANNELS), default=1, metavar="N", help="Enhanced one by one.")
@click.option(
    "--dtype", type=click.Choice(list(TYPES)), show_default=_RAW_TYPE, help="Of raw samples, which are little-endian."
)
def live(
    source: str | None,
    sink: str | None,
    listing: bool,
    virtual_mic: bool,
    latency: float,
    attenuation_limit: float | None,
    record: Path | None,
    overwrite: bool,
    weights: str,
    threads: int,
    rate: int | None,
    channels: int,
    dtype: str | None,
) -> None:
    """Remove noise from a microphone while it is heard.

    INPUT and OUTPUT are parts of the names of devices; without them, the system's own are taken. - for both of them is
    raw samples from standard input to standard output. Devices need imse[live].

    Sound comes out later by --latency, the buffers of the devices, and the time to compute; the first line tells how
    much that is. If the machine is too slow, smaller weights and longer latencies take over. On a terminal, b switches
    between the output and the input, and q ends. So do Ctrl-C and other signals; a recording is saved then.

    \b
    imse live --list
    imse live yeti headphones --record talk.wav
    imse live yeti --virtual-mic         for calls, on Linux
    arecord -t raw -f S16_LE -r 48000 | imse live - - --rate 48000 | aplay -t raw -f S16_LE -r 48000
    """  # noqa: D301 - the escape tells the help to keep the lines of the examples
    from imse.live.enhancement import Wish

    context = click.get_current_context()
    if virtual_mic and sink is not None:
        raise click.UsageError(f"--virtual-mic takes the place of the output '{sink}'", context)
    is_raw = source == _RAW
    if is_raw != (sink == _RAW):
        raise click.UsageError("- is for both input and output: imse live - -", context)
    if dtype and not is_raw:
        raise click.UsageError("--dtype is for raw samples: imse live - -", context)
    if listing:
        _list_devices()
        return
    if is_raw:
        wish = Wish(weights, rate or _RAW_RATE, channels, latency, threads, attenuation_limit)
        _enhance_raw(wish, dtype or _RAW_TYPE, record, overwrite)
        return

    from imse.live.devices import choose, devices

    microphone = choose(devices("input"), source)
    if channels > microphone.channels:
        raise ImseError(f"'{microphone.name}' has {counted(microphone.channels, 'channel')}, not {channels}")
    wish = Wish(weights, rate or microphone.sample_rate, channels, latency, threads, attenuation_limit)
    if not virtual_mic:
        _enhance(wish, (microphone, choose(devices("output"), sink)), record, overwrite)
        return
    from imse.live.devices import output_of_server
    from imse.live.server import DESCRIPTION, virtual_microphone

    with virtual_microphone(wish.sample_rate, channels) as name:
        _enhance(wish, (microphone, output_of_server(name, DESCRIPTION, channels)), record, overwrite)


def _list_devices() -> None:
    from imse.live.devices import DIRECTIONS, devices

    for direction in DIRECTIONS:
        click.echo(f"{direction}s")
        for device in devices(direction):
            mark = "*" if device.is_default else " "
            more = f" ({device.in_server or device.system})"
            click.echo(printable(f"{mark} {device.name}{more}, {device.channels} x {device.sample_rate:,} Hz"))
    click.echo("* is taken where none is named")


def _enhance_raw(wish: Wish, dtype: str, record: Path | None, overwrite: bool) -> None:
    from imse.live.enhancement import from_best_to_cheapest
    from imse.live.pipes import RawPipes, enhance_raw
    from imse.live.recording import recorded

    pipes = RawPipes(dtype, wish.channels)
    enhancement = next(from_best_to_cheapest(wish))
    milliseconds = 1000 * enhancement.latency / wish.sample_rate
    with recorded(record, wish.sample_rate, wish.channels, overwrite) as recording:
        kind = f"{dtype} at {wish.sample_rate:,} Hz, {counted(wish.channels, 'channel')}"
        click.echo(f"imse: {kind}, {milliseconds:.0f} ms late", err=True)
        enhance_raw(pipes, enhancement, recording)


def _enhance(wish: Wish, devices: tuple[Device, Device], record: Path | None, overwrite: bool) -> None:
    from imse.live.console import Keys, Meters
    from imse.live.duplex import opened
    from imse.live.recording import recorded
    from imse.live.session import Session

    ended = Event()
    for number in heeded_interrupts():
        signal.signal(number, lambda *_: ended.set())
    with recorded(record, wish.sample_rate, wish.channels, overwrite) as recording:
        session = Session(wish, recording is not None)
        meters = Meters(session)
        try:
            with session, opened(session, devices, wish.sample_rate, wish.channels) as duplex, Keys() as keys, meters:
                meters.say(_beginning(session, devices, wish.sample_rate, duplex.latency))
                while not ended.is_set():
                    pressed = keys.wait()
                    if "q" in pressed:
                        break
                    session.hears_input ^= bool(pressed.count("b") % 2)
                    meters.show()
                    if recording:
                        recording.write_all(session.take_recorded())
                    duplex.check()
                    session.check()
        finally:
            if recording:
                recording.write_all(session.take_recorded())
    drop_outs = counted(session.dropouts, "drop-out")
    grown = 1000 * session.grown // wish.sample_rate
    later = f", {grown} ms later than at first" if grown else ""
    meters.say(f"{session.seconds:.1f} s, load {session.load:.0%}, {drop_outs}{later}")


def _beginning(session: Session, devices: tuple[Device, Device], sample_rate: int, buffers: float) -> str:
    """Which devices, and how late their sound is and why."""
    network, computing = (1000 * samples / sample_rate for samples in (session.latency, session.margin))
    source, sink = (device.name for device in devices)
    return (
        f"'{source}' to '{sink}', {sample_rate:,} Hz, {network + computing + 1000 * buffers:.0f} ms late "
        f"({network:.0f} ms for the network, {computing:.0f} to compute, {1000 * buffers:.0f} in the devices)"
    )
