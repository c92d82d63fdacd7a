"""`imse web`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    show_default="a free one",
    metavar="N",
    help="Port to listen at.",
)
@click.option(
    "--host", default="127.0.0.1", metavar="ADDRESS", help="Address to listen at: 0.0.0.0 for other machines, too."
)
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
@click.option(
    "--publish",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write the page to a folder instead, for any server of static files.",
)
def web(port: int, host: str, no_browser: bool, publish: Path | None) -> None:
    """Clean recordings in the browser, on a page of this machine; Ctrl-C ends it.

    The page has players, spectrograms and a microphone. Recordings stay on this machine: the page computes by itself,
    and sends nothing. Only the files of the page are served.

    \b
    imse web
    imse web --publish public
    """  # noqa: D301 - the escape tells the help to keep the lines of the examples
    from imse import web as page
    from imse.errors import printable
    from imse.web.server import PageServer

    if publish is not None:
        page.publish(publish)
        click.echo(f"written: {printable(str(publish / 'index.html'))}")
        return
    with PageServer(host, port) as server:
        click.echo(f"{server.url}  (Ctrl-C to end)")
        if not no_browser:
            import threading
            import webbrowser

            # Some browsers end before this returns, and want an answer until then.
            threading.Thread(target=webbrowser.open, args=[server.url], daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo()
