"""`imse enhance`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from imse.engine import AUTO, ENGINES, describe_engines
from imse.errors import ImseError, describe, printable
from imse.processors import processors
from imse.weights import DEFAULT


def enhance_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT", help="Audio files, folders (searched recursively), or - for WAV from stdin."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="A file for one input file; a folder for several, or for a folder's tree; - for WAV to stdout. "
            "Default: beside the input, a.wav as a.enhanced.wav, the folder rec as rec.enhanced.",
        ),
    ] = None,
    weights: Annotated[str, typer.Option(metavar="NAME|FILE", help="Weights in the package, or a file.")] = DEFAULT,
    engine: Annotated[
        str,
        typer.Option(
            metavar="|".join((AUTO, *ENGINES)),
            help=f"{describe_engines()}. Default: the fastest that runs the weights.",
        ),
    ] = AUTO,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processor threads per file. Default: processors divided by jobs."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Files at the same time. Default: one per processor.")
    ] = None,
    attenuation_limit: Annotated[
        float | None,
        typer.Option(min=0, metavar="DB", help="Turn noise down by this many dB at most; 0 changes nothing."),
    ] = None,
    segments: Annotated[
        Literal["overlap", "paper"],
        typer.Option(help="overlap: cross-faded; paper: the authors' hard cuts, to compare with their numbers."),
    ] = "overlap",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace output files that exist.")] = False,
) -> None:
    """Remove noise from recordings of speech.

    Takes any rate from 8 to 192 kHz and any number of channels, as WAV, FLAC, Ogg, Opus, MP3, AIFF, ...; with imse[av]
    also as m4a, or the sound of a video. The output keeps the input's rate, channels, length, encoding and tags. It is
    written whole or not at all. A file that fails does not stop the others; the exit code is 0 only if all were read to
    their end and enhanced.

    \b
    imse enhance noisy.wav               writes noisy.enhanced.wav
    imse enhance recordings -o clean     mirrors the folder's tree under clean/
    imse enhance talk.mp4 --attenuation-limit 12
    sox in.wav -t wav - | imse enhance - -o - | aplay
    """  # noqa: D301 - the escape tells the help to keep the lines of the examples
    from imse.audio import STDIO
    from imse.cli.batch import find_tasks, run
    from imse.enhancer import Enhancer

    unreadable = []

    def report(error: OSError) -> None:
        typer.echo(f"imse: {describe(error)}", err=True)
        unreadable.append(error)

    tasks = find_tasks(inputs, output, report)
    to_stdout = STDIO in (task.target for task in tasks)
    jobs = min(jobs or max(1, processors() // (threads or 1)), len(tasks))
    threads = threads or max(1, processors() // jobs)
    enhancer = Enhancer(weights, engine, threads, segments, attenuation_limit)

    started = time.perf_counter()
    try:
        outcome = run(enhancer, tasks, jobs, overwrite)
    except KeyboardInterrupt:
        typer.echo("imse: interrupted; the files that were not finished are not there", err=True)
        raise typer.Exit(130) from None
    elapsed = time.perf_counter() - started
    if outcome.done:
        factor = f" (real-time factor {elapsed / outcome.seconds:.2f})" if outcome.seconds else ""
        place = outcome.place if len(tasks) == 1 else f"{outcome.done} files in {outcome.place}"
        typer.echo(f"{printable(place)}: {outcome.seconds:.1f} s of audio in {elapsed:.1f} s{factor}", err=to_stdout)
    problems = {
        f"{outcome.failed} of {len(tasks)} files failed": outcome.failed,
        f"{outcome.damaged} of {len(tasks)} files are damaged; what could be read was enhanced": outcome.damaged,
        f"{len(unreadable)} folders could not be read": len(unreadable),
    }
    if any(problems.values()):
        raise ImseError("; ".join(problem for problem, count in problems.items() if count))
