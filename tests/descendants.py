"""Processes that others have started, as /proc knows them."""

from __future__ import annotations

from pathlib import Path


def descendants(ancestor: int, title: str = "") -> list[int]:
    """Processes started by another one, itself or through others, with some text in their command lines."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                titles[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, ValueError):
                continue

    def descends(process: int) -> bool:
        while (process := parents.get(process, 0)) not in {0, ancestor}:
            pass
        return process == ancestor

    return [process for process, text in titles.items() if title in text and descends(process)]
