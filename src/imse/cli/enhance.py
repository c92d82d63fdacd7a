"""`imse enhance`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from imse.cli.output import overwrite_option
from imse.engine import AUTO, ENGINES, describe_engines
from imse.errors import ImseError, counted, describe, printable
from imse.finish.finishing import HIGHEST_HZ, LOUDEST_LUFS, LOWEST_HZ, QUIETEST_LUFS, TRUE_PEAK_LIMIT_DB
from imse.processors import processors
from imse.weights import DEFAULT

if TYPE_CHECKING:
    from imse.cli.batch import Outcome


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="A file for one input file; a folder (NAME/) for several, or for a folder's tree; - for WAV to stdout. "
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
@click.option("--skip-existing", is_flag=True, help="Leave output files that exist, and their inputs, as they are.")
def enhance(
    inputs: tuple[Path, ...],
    output: str | None,
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
    skip_existing: bool,
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
    from imse.cli.batch import Outcome, find_tasks, run, without_existing
    from imse.enhancer import Enhancer

    if overwrite and skip_existing:
        raise click.UsageError("--overwrite and --skip-existing exclude each other", click.get_current_context())
    unreadable = []

    def report(error: OSError) -> None:
        click.echo(f"imse: {describe(error)}", err=True)
        unreadable.append(error)

    # What ends in a slash is a folder, and a Path forgets the slash.
    into_folder = output is not None and output.endswith(("/", os.sep))
    found = find_tasks(inputs, None if output is None else Path(output), report, into_folder, residual)
    to_stdout = STDIO in (task.target for task in found)
    # One file alone is refused by its own line.
    tasks = without_existing(found) if skip_existing or (len(found) > 1 and not overwrite) else found
    existing = [task.target for task in found if task not in tasks]
    if existing and skip_existing:
        click.echo(f"{_named(existing)} already there", err=to_stdout)

    outcome = Outcome("")
    if tasks:
        jobs = min(jobs or max(1, processors() // (threads or 1)), len(tasks))
        threads = threads or max(1, processors() // jobs)
        enhancer = Enhancer(weights, engine, threads, segments, attenuation_limit, high_pass, loudness)
        started = time.perf_counter()
        try:
            outcome = run(enhancer, tasks, jobs, overwrite)
        except KeyboardInterrupt:
            click.echo("imse: interrupted; the files that were not finished are not there", err=True)
            sys.exit(130)
        if outcome.done:
            click.echo(_summary(outcome, len(tasks), time.perf_counter() - started), err=to_stdout)
    problems = _problems(outcome, len(tasks), len(unreadable))
    if existing and not skip_existing:
        problems.insert(0, f"{_named(existing)} already there: --skip-existing or --overwrite")
    if problems:
        raise ImseError("; ".join(problems))
    if outcome.failed or outcome.damaged:  # of one file alone, which had its line
        sys.exit(1)


def _named(files: Sequence[Path]) -> str:
    more = len(files) - 1
    return printable(str(files[0])) + (f" and {counted(more, 'more output file')} are" if more else " is")


def _summary(outcome: Outcome, tasks: int, elapsed: float) -> str:
    factor = f" (real-time factor {elapsed / outcome.seconds:.2f})" if outcome.seconds else ""
    place = outcome.place if tasks == 1 else f"{counted(outcome.done, 'file')} in {outcome.place}"
    return f"{printable(place)}: {outcome.seconds:.1f} s of audio in {elapsed:.1f} s{factor}"


def _problems(outcome: Outcome, tasks: int, unreadable: int) -> list[str]:
    """What is left to say at the end about several files, after a line about each."""
    problems = []
    if tasks > 1 and outcome.failed:
        problems.append(f"{outcome.failed} of {tasks} files failed")
    if tasks > 1 and outcome.damaged:
        are = "is" if outcome.damaged == 1 else "are"
        problems.append(f"{outcome.damaged} of {tasks} files {are} damaged; what could be read was enhanced")
    if unreadable:
        problems.append(f"{counted(unreadable, 'folder')} could not be read")
    return problems
