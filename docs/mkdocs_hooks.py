"""Pages of the site that are not in docs/, and links between files of the repository.

The documents are written to be read in the repository, where links are paths between files. Here, `extra.pages` of
mkdocs.yml gives pages outside of docs/ a place in the site, links are turned to where their target is in the site, and
other files that are linked to come with it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(\]\()([^)#\s]+)([^)]*\))")
_FILES = "files"  # folder in the site of linked files that are no pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside of docs/, and every file that a page links to."""
    for path, name in config.extra["pages"].items():
        files.append(File.generated(config, name, abs_src_path=str(_ROOT / path)))
    for page in list(files.documentation_pages()):
        for _, target, _ in _LINK.findall(page.content_string):
            path = _path(page, target)
            if path and _in_site(path, config) not in files.src_uris and (_ROOT / path).is_file():
                files.append(File.generated(config, _in_site(path, config), abs_src_path=str(_ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Turn links from paths in the repository to paths in the site."""

    def turned(link: re.Match[str]) -> str:
        path = _path(page.file, link[2])
        if path is None:
            return link[0]
        target = posixpath.relpath(_in_site(path, config), posixpath.dirname(page.file.src_uri) or ".")
        return link[1] + target + link[3]

    return _LINK.sub(turned, markdown)


def _path(page: File, target: str) -> str | None:
    """The path in the repository that a link of a page leads to; None if it leads elsewhere."""
    if "://" in target or page.abs_src_path is None:
        return None
    folder = Path(page.abs_src_path).parent.relative_to(_ROOT).as_posix()
    return posixpath.normpath(posixpath.join(folder, target))


def _in_site(path: str, config: MkDocsConfig) -> str:
    """The path in the site of a file in the repository."""
    name: str | None = config.extra["pages"].get(path)
    return name or (path.removeprefix("docs/") if path.startswith("docs/") else f"{_FILES}/{path}")
