"""`imse corpus`."""

from __future__ import annotations

import sys
import time

import click

from imse.engine import AUTO, ENGINES
from imse.errors import ImseError, counted, printable
from imse.weights import DEFAULT


@click.command()
@click.argument("source", metavar="IN")
@click.argument("output", metavar="OUT")
@click.option(
    "--form",
    type=click.Choice(["files", "manifest", "parquet", "webdataset"]),
    show_default="what the names of the files say",
    help="What IN is.",
)
@click.option("--column", metavar="NAME", help="The Parquet column, or the key of a manifest, with the audio.")
@click.option("--weights", default=DEFAULT, metavar="NAME|FILE", help="Weights in the package, or a file.")
@click.option(
    "--engine",
    default=AUTO,
    metavar="|".join((AUTO, *ENGINES)),
    show_default="the fastest that runs the weights; with --gpus torch",
    help="As in imse enhance.",
)
@click.option(
    "--attenuation-limit",
    type=click.FloatRange(0),
    metavar="DB",
    help="Turn noise down by this many dB at most; 0 changes nothing.",
)
@click.option(
    "--score", is_flag=True, help="Rate each recording before and after: DNSMOS and loudness. Needs imse[eval]."
)
@click.option("--address", metavar="RAY", show_default="this machine", help="A Ray cluster: auto, or HOST:PORT.")
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", show_default="all that there is room for", help="At a time."
)
@click.option("--cpus", type=click.IntRange(1), default=1, metavar="N", help="Processors per worker.")
@click.option("--gpus", type=click.FloatRange(0), default=0, metavar="N", help="GPUs per worker, as 1 or 0.25.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N files or shards, for a trial.")
def corpus(
    source: str,
    output: str,
    form: str | None,
    column: str | None,
    weights: str,
    engine: str,
    attenuation_limit: float | None,
    score: bool,
    address: str | None,
    workers: int | None,
    cpus: int,
    gpus: float,
    limit: int | None,
) -> None:
    """Remove noise from a corpus of speech, on one machine or many. Needs imse[corpus].

    IN is a folder of recordings, a manifest in JSON lines (NeMo, Lhotse), Parquet with a column of audio, or WebDataset
    tar files: a folder, a file or a glob, here or in any storage of fsspec (s3://bucket/folder). OUT is a folder for
    the same tree in the same form. Recordings keep rate, channels, length and encoding.

    A run that was ended goes on with the same command: what is complete stays. A recording that cannot be read does not
    stop the others, and is a row of errors.parquet; the exit code is 0 only if there is none.

    \b
    imse corpus recordings clean
    imse corpus 's3://bucket/train-*.tar' s3://bucket/clean --address auto
    """  # noqa: D301 - the escape tells the help to keep the lines of the examples
    from imse.corpus.cleaner import Settings
    from imse.corpus.plan import plan, weights_for_workers
    from imse.corpus.run import Resources, run
    from imse.corpus.storage import absolute
    from imse.corpus.summary import errors_address
    from imse.corpus.work import Job

    source, output = absolute(source), absolute(output)
    if source == output:
        raise ImseError(f"{output}: the input itself; OUT is another folder")
    if gpus and engine == AUTO:
        engine = "torch"
    settings = Settings(weights_for_workers(weights), engine, cpus, attenuation_limit, score, column)
    if score:
        import speechmos  # noqa: F401 - whether it is missing is found out before the work
    planned = plan(source, output, form, column)
    started = time.perf_counter()
    with click.progressbar(length=1, label="enhancing", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        try:
            outcome = run(
                Job(planned.form, output, settings), planned, Resources(address, workers, cpus, gpus), limit, progress
            )
        except KeyboardInterrupt:
            click.echo("imse: interrupted; the same command goes on with what is missing", err=True)
            sys.exit(130)
    what = "file" if planned.form in {"files", "manifest"} else "shard"
    earlier = f", {outcome.complete:,} were complete before" if outcome.complete else ""
    click.echo(
        f"{counted(outcome.done, what)} in {printable(output)}: {outcome.seconds / 3600:.2f} hours of audio in "
        f"{time.perf_counter() - started:.0f} s{earlier}"
    )
    if outcome.errors:
        raise ImseError(
            f"{counted(len(set(outcome.errors)), 'recording')} could not be read, or not to the end: "
            f"{printable(errors_address(output, planned.form))}"
        )
