"""The frame of a page that needs nothing but itself: head, style, tables, and the script of the players."""

from __future__ import annotations

import re
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


def table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], style: str = "") -> str:
    """A table; on a phone, where the columns have no room, each cell has the head of its column beside it.

    Args:
        heads: Heads of the columns as HTML.
        rows: Name of each row as text, and its cells as HTML.
        style: Name of a class.
    """
    head = "".join(f"<th>{name}</th>" for name in heads)
    labels = [re.sub(r"<[^>]*>", "", name.replace("<br>", ", ")) for name in heads[1:]]
    body = "".join(f"<tr><th>{escape(name)}</th>{_cells(labels, cells)}</tr>" for name, cells in rows)
    found = f'<table class="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="wide card">{found}</div>'


def _cells(labels: Sequence[str], cells: Sequence[str]) -> str:
    return "".join(
        f'<td data-head="{label}"><span>{cell}</span></td>' for label, cell in zip(labels, cells, strict=True)
    )
