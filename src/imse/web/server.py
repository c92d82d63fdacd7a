"""A server of the page for this machine, or for those that it is opened to."""

from __future__ import annotations

import ipaddress
import sys
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from imse.errors import ImseError, describe
from imse.web import MEDIA_TYPES, files

LOOPBACK = "127.0.0.1"
HTTP_PORT = 80

# What the page says of itself, too, where it is served by others. Frames, and what workers may do, need a header.
_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self' "
        "blob: data:; media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageServer(ThreadingHTTPServer):
    """Serves the files of the page and nothing else, to requests that name this machine as their host.

    Args:
        host: Address to listen at. At a loopback address, other hosts' names are refused, under which a page from
            elsewhere could reach this one (DNS rebinding).
        port: 0 for a free one.

    Raises:
        ImseError: The address cannot be listened at.
    """

    daemon_threads = True

    def __init__(self, host: str = LOOPBACK, port: int = 0) -> None:
        self.files = files()
        self._host = host
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise ImseError(f"{host}:{port}: {describe(error)}; choose another with --host or --port") from error

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{self._host}:{self.server_port}/"

    @cached_property
    def _only_local(self) -> bool:
        try:
            return ipaddress.ip_address(self._host).is_loopback
        except ValueError:
            return self._host == "localhost"

    def allows_host(self, host: str | None) -> bool:
        """Whether a request with this header `Host` is answered."""
        names = {self._host, "localhost"}
        allowed = {f"{name}:{self.server_port}" for name in names}
        if self.server_port == HTTP_PORT:
            allowed |= names  # browsers leave it out
        return not self._only_local or host in allowed

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing for visitors who leave in the middle of a file."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD with a file of the page, or an error."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds, of a connection on which nothing comes

    def do_GET(self) -> None:
        if path := self._find():
            content = path.read_bytes()
            self._begin(path, len(content))
            self.wfile.write(content)

    def do_HEAD(self) -> None:
        if path := self._find():
            self._begin(path, path.stat().st_size)

    def _find(self) -> Path | None:
        if not self.server.allows_host(self.headers["Host"]):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        try:
            name = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return None
        # A name in a table: no path can lead out of the folder.
        path = self.server.files.get(name)
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        return path

    def _begin(self, path: Path, size: int) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", MEDIA_TYPES.get(path.suffix, MEDIA_TYPES[".txt"]))
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", "no-cache")  # the next version of the package may be at the same address
        self.end_headers()

    def end_headers(self) -> None:
        """Add to every answer, errors included, what it may do."""
        for name, value in _SECURITY.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        return "imse"

    def log_message(self, *_: object) -> None:
        """Nothing: the terminal shows the address, and stays readable."""
