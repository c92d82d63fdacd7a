"""`imse enhance`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal

import click

from imse.cli.output import overwrite_option
from imse.engine import AUTO, ENGINES, describe_engines
from imse.errors import ImseError, describe, printable
from imse.finish.finishing import HIGHEST_HZ, LOUDEST_LUFS, LOWEST_HZ, QUIETEST_LUFS, TRUE_PEAK_LIMIT_DB
from imse.processors import processors
from imse.weights import DEFAULT


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="A file for one input file; a folder for several, or for a folder's tree; - for WAV to stdout. "
    "Default: beside the input, a.wav as a.enhanced.wav, the folder rec as rec.enhanced.",
)
@click.option("--weights", default=DEFAULT, metavar="NAME|FILE", help="Weights in the package, or a file.")
@click.option(
    "--engine",
    default=AUTO,
    metavar="|".join((AUTO, *ENGINES)),
    show_default="the fastest that runs the weights",
    help=f"{describe_engines()}.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    show_default="processors divided by jobs",
    help="Processor threads per file.",
)
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", show_default="one per processor", help="Files at the same time."
)
@click.option(
    "--attenuation-limit",
    type=click.FloatRange(0),
    metavar="DB",
    help="Turn noise down by this many dB at most; 0 changes nothing.",
)
@click.option(
    "--high-pass",
    type=click.FloatRange(LOWEST_HZ, HIGHEST_HZ),
    metavar="HZ",
    help="Remove rumble below this frequency; 80 leaves voices as they are.",
)
@click.option(
    "--loudness",
    type=click.FloatRange(QUIETEST_LUFS, LOUDEST_LUFS),
    metavar="LUFS",
    help="Bring each file to this integrated loudness, as -16 for podcasts and -23 for broadcasting, or as near as a "
    f"true peak of {TRUE_PEAK_LIMIT_DB:g} dBTP allows. Needs imse[av].",
)
@click.option(
    "--residual",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Write what was taken away, too, to listen to: a file for one input file, else a folder.",
)
@click.option(
    "--segments",
    type=click.Choice(["overlap", "paper"]),
    default="overlap",
    help="overlap: cross-faded; paper: the authors' hard cuts, to compare with their numbers.",
)
@overwrite_option
def enhance(
    inputs: tuple[Path, ...],
    output: Path | None,
    weights: str,
    engine: str,
    threads: int | None,
    jobs: int | None,
    attenuation_limit: float | None,
    high_pass: float | None,
    loudness: float | None,
    residual: Path | None,
    segments: Literal["overlap", "paper"],
    overwrite: bool,
) -> None:
    """Remove noise from recordings of speech.

    INPUT is an audio file, a folder (searched recursively), or - for WAV from standard input.

    Takes any rate from 8 to 192 kHz and any number of channels, as WAV, FLAC, Ogg, Opus, MP3, AIFF, ...; with imse[av]
    also as m4a, or the sound of a video. The output keeps the input's rate, channels, length, encoding and tags. It is
    written whole or not at all. A file that fails does not stop the others; the exit code is 0 only if all were read to
    their end and enhanced.

    \b
    imse enhance noisy.wav               writes noisy.enhanced.wav
    imse enhance recordings -o clean     mirrors the folder's tree under clean/
    imse enhance talk.mp4 --attenuation-limit 12
    imse enhance talk.wav --high-pass 80 --loudness -16 --residual noise.wav
    sox in.wav -t wav - | imse enhance - -o - | aplay
    """  # noqa: D301 - the escape tells the help to keep the lines of the examples
    from imse.audio import STDIO
    from imse.cli.batch import find_tasks, run
    from imse.enhancer import Enhancer

    unreadable = []

    def report(error: OSError) -> None:
        click.echo(f"imse: {describe(error)}", err=True)
        unreadable.append(error)

    tasks = find_tasks(list(inputs), output, report, residual)
    to_stdout = STDIO in (task.target for task in tasks)
    jobs = min(jobs or max(1, processors() // (threads or 1)), len(tasks))
    threads = threads or max(1, processors() // jobs)
    enhancer = Enhancer(weights, engine, threads, segments, attenuation_limit, high_pass, loudness)

    started = time.perf_counter()
    try:
        outcome = run(enhancer, tasks, jobs, overwrite)
    except KeyboardInterrupt:
        click.echo("imse: interrupted; the files that were not finished are not there", err=True)
        sys.exit(130)
    elapsed = time.perf_counter() - started
    if outcome.done:
        factor = f" (real-time factor {elapsed / outcome.seconds:.2f})" if outcome.seconds else ""
        place = outcome.place if len(tasks) == 1 else f"{outcome.done} files in {outcome.place}"
        click.echo(f"{printable(place)}: {outcome.seconds:.1f} s of audio in {elapsed:.1f} s{factor}", err=to_stdout)
    problems = {
        f"{outcome.failed} of {len(tasks)} files failed": outcome.failed,
        f"{outcome.damaged} of {len(tasks)} files are damaged; what could be read was enhanced": outcome.damaged,
        f"{len(unreadable)} folders could not be read": len(unreadable),
    }
    if any(problems.values()):
        raise ImseError("; ".join(problem for problem, count in problems.items() if count))
