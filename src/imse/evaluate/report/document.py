"""The frame of a page that needs nothing but itself: head, style, tables, and the script of the players."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from html import escape
from importlib.resources import files

from imse import __version__

# Nothing may be fetched: the browser itself enforces that the page is self-contained.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

LISTENING = (
    "<p>Click into a spectrogram to listen from there. Starting another version of the same file goes on at the same "
    "moment.</p>"
)


def document(title: str, heading: str, facts: Sequence[str], body: str) -> str:
    """A whole page.

    Args:
        title: Of the window.
        heading: The first line.
        facts: What was done, in few words each; the version and the date are appended.
        body: HTML.
    """
    resources = files("imse.evaluate.report")
    facts = [*facts, f"imse {__version__}", f"{date.today():%d %B %Y}"]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{resources.joinpath("style.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<h1>{escape(heading)}</h1>
<p class="soft">{escape(" · ".join(facts))}</p>
{body}
<script>
{resources.joinpath("player.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""


def table(heads: Sequence[str], rows: str, style: str = "") -> str:
    """A table of HTML, that scrolls sideways where the page is narrow."""
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = f'<table class="{style}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="wide card">{body}</div>'


def row(name: str, cells: Sequence[str]) -> str:
    """A row of a table: its name as text, its cells as HTML."""
    return f"<tr><th>{escape(name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
