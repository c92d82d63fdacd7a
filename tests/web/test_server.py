"""`imse web` serves the files of the page and nothing else; what it publishes is the same page."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from imse.cli import app
from imse.errors import ImseError
from imse.native.build import fingerprint
from imse.web import MEDIA_TYPES, files
from imse.web.server import PageServer

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "src" / "imse" / "web"


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    with PageServer() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(
    server: PageServer, path: str, host: str | None = None, method: str = "GET"
) -> tuple[http.client.HTTPResponse, bytes]:
    """The path goes out as it is, without being tidied up."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


@pytest.mark.parametrize("name", files())
def test_files_have_their_content_and_type(name: str, server: PageServer) -> None:
    response, content = ask(server, f"/{name}")
    assert response.status == 200
    assert content == files()[name].read_bytes()
    assert response.getheader("Content-Type") == MEDIA_TYPES[Path(name).suffix]
    head, nothing = ask(server, f"/{name}?x=1", method="HEAD")
    assert (head.getheader("Content-Length"), nothing) == (str(len(content)), b"")


def test_the_page_is_at_the_root(server: PageServer) -> None:
    response, content = ask(server, "/", host=f"localhost:{server.server_port}")
    assert response.status == 200
    assert content == (PAGE / "index.html").read_bytes()


@pytest.mark.parametrize(
    "path",
    ["/server.py", "/__init__.py", "/package.json", "/../__init__.py", "/%2e%2e/__init__.py", "/weights/../server.py",
     "//etc/passwd", "/weights/", "/weights/default.onnx", "/weights/MODEL_CARD.md", "/..%5cserver.py", "/\x00", "http://[x"],
)  # fmt: skip
def test_nothing_else_is_served(path: str, server: PageServer) -> None:
    with pytest.MonkeyPatch.context() as patch:  # http.client refuses some paths itself
        patch.setattr(http.client.HTTPConnection, "_validate_path", lambda *_: None)
        assert ask(server, path)[0].status in {400, 404}


@pytest.mark.parametrize("host", ["example.org", "example.org:{}", "127.0.0.1", "127.0.0.1.example.org:{}", ""])
def test_names_of_other_hosts_are_refused(host: str, server: PageServer) -> None:
    """A page from elsewhere may have its name lead to this machine."""
    response, content = ask(server, "/index.html", host=host.format(server.server_port) or " ")
    assert response.status == 421
    assert b"<script" not in content


def test_browsers_leave_out_the_port_of_the_web(monkeypatch: pytest.MonkeyPatch) -> None:
    with PageServer() as server:
        monkeypatch.setattr(server, "server_port", 80)
        allowed = {"127.0.0.1", "127.0.0.1:80", "localhost", "localhost:80"}
        assert {host for host in {*allowed, "example.org", "127.0.0.1:81"} if server.allows_host(host)} == allowed


def test_who_leaves_in_the_middle_of_a_file_is_no_news(
    server: PageServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = threading.Event()

    def end(*request: Any) -> None:
        ThreadingHTTPServer.shutdown_request(server, *request)
        ended.set()

    monkeypatch.setattr(server, "shutdown_request", end)
    with socket.create_connection(("127.0.0.1", server.server_port)) as visitor:
        visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no farewell either
        host = f"127.0.0.1:{server.server_port}"
        visitor.sendall(f"GET /weights/default.safetensors HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        visitor.recv(1)
    assert ended.wait(10)
    assert capfd.readouterr().err == ""


def test_other_methods_are_refused(server: PageServer) -> None:
    assert ask(server, "/", method="POST")[0].status == 501


def test_a_port_in_use_is_an_error_of_one_line(server: PageServer) -> None:
    with pytest.raises(ImseError, match=rf"127\.0\.0\.1:{server.server_port}: .*--port"):
        PageServer(port=server.server_port)


class _Links(HTMLParser):
    """What a page loads, and the policy in it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [link for name in ("src", "href") if (link := found.get(name))]
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""
        assert "style" not in found  # the policy forbids it, and inline scripts, too
        assert tag != "style"


def test_the_page_states_the_policy_of_the_server(server: PageServer) -> None:
    page = _Links()
    page.feed((PAGE / "index.html").read_text())
    header = ask(server, "/")[0].getheader("Content-Security-Policy")
    assert header == f"{page.policy}; frame-ancestors 'none'"  # which only a header may have
    assert "connect-src 'self';" in page.policy
    assert set(page.links) <= files().keys()


def test_modules_import_what_is_there_by_relative_paths() -> None:
    imports = {
        name
        for module in PAGE.glob("*.js")
        for name in re.findall(r"(?:from |new URL\()'([^']+\.js)'", module.read_text())
    }
    assert len(imports) > 5
    assert {name.removeprefix("./") for name in imports} <= files().keys()


def test_the_service_worker_keeps_all_files() -> None:
    text = (PAGE / "service-worker.js").read_text()
    listed = re.findall(r"'([^']+)'", text[text.index("const FILES") : text.index("]")])
    assert set(listed) == {"./", *files()} - {"service-worker.js"}


def test_the_example_is_that_of_the_documents() -> None:
    assert (PAGE / "dishes.flac").read_bytes() == (ROOT / "examples" / "dishes.flac").read_bytes()


def test_the_engine_of_the_page_was_compiled_from_these_sources() -> None:
    """If not: make -C examples/wasm page."""
    assert fingerprint("engine").encode() in (PAGE / "imse.wasm").read_bytes()


def test_publish(tmp_path: Path) -> None:
    folder = tmp_path / "public"
    result = CliRunner().invoke(app, ["web", "--publish", str(folder)])
    assert result.exit_code == 0
    assert result.output == f"written: {folder / 'index.html'}\n"
    published = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert published.keys() == files().keys()
    assert all(path.read_bytes() == files()[name].read_bytes() for name, path in published.items())
    (tmp_path / "file").touch()
    assert "not a folder" in str(CliRunner().invoke(app, ["web", "--publish", str(tmp_path / "file")]).exception)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for other processes")
def test_the_command_ends_with_an_interrupt() -> None:
    command = [sys.executable, "-m", "imse", "web", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/  \(Ctrl-C to end\)\n", process.stdout.readline())
        assert port
        connection = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=10)
        connection.request("GET", "/page.js")
        assert connection.getresponse().status == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")
        connection.close()
