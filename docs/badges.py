"""Draw docs/badges/*.svg from what pyproject.toml says.

python docs/badges.py
"""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parent
_CHARACTER, _MARGIN = 6.6, 12  # widths in pixels


def badges() -> dict[str, str]:
    """SVG by name of the file."""
    project = (DOCS.parent / "pyproject.toml").read_text(encoding="utf-8")
    tools = [name for name in ("pytest", "hypothesis", "mypy", "ruff") if f'"{name}>=' in project]
    return {
        "licence.svg": _badge("licence", _value("license", project)),
        "python.svg": _badge("python", _value("requires-python", project)),
        "tests.svg": _badge("tests", ", ".join(tools)),
    }


def _value(key: str, project: str) -> str:
    found = re.search(rf'^{key} = "(.*)"$', project, re.MULTILINE)
    assert found
    return found[1].replace(">=", "≥ ")


def _badge(label: str, value: str) -> str:
    left, right = (round(_CHARACTER * len(text) + _MARGIN) for text in (label, value))
    style = 'fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img"'
    return f"""{start} aria-label="{label}: {value}">
<rect width="{left}" height="20" fill="#555"/>
<rect x="{left}" width="{right}" height="20" fill="#2a6f97"/>
<text x="{left / 2:g}" y="14" {style}>{label}</text>
<text x="{left + right / 2:g}" y="14" {style}>{value}</text>
</svg>
"""


def main() -> None:
    """Write the files."""
    for name, content in badges().items():
        (DOCS / "badges" / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
