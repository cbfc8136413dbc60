"""A reverse proxy as operators set them up: it rewrites the host name, and serves below a path."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BLOCK_BYTES = 2**16
HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "host")


class Proxy(ThreadingHTTPServer):
    """A proxy on a free port of this machine.

    Args:
        path: path below which it serves, such as `/exvad`.
        strips_path: whether it removes the path from the requests that it passes on.

    Attributes:
        url: its address with the path.
        target: host and port of the server behind it; set it before the first request.
        was_buffered: the paths of responses that it passed on only once they were complete, as
            proxies do unless a response forbids it.
    """

    daemon_threads = False

    def __init__(self, path: str, strips_path: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.path, self.strips_path = path, strips_path
        self.url = f"http://127.0.0.1:{self.server_port}{path}"
        self.target = ""
        self.was_buffered: list[str] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that have left."""


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def handle_any(self) -> None:
        prefix = self.server.path
        if not self.path.startswith(prefix):
            self.send_error(404)
            return
        path = self.path.removeprefix(prefix) or "/" if self.server.strips_path else self.path
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length) if length else None
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        connection = http.client.HTTPConnection(self.server.target, timeout=30)
        connection.request(self.command, path, body, headers)  # with the host of the target
        with closing(connection), connection.getresponse() as response:
            self.pass_on(path, response)

    def pass_on(self, path: str, response: http.client.HTTPResponse) -> None:
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.end_headers()
        if response.getheader("x-accel-buffering") == "no":
            while block := response.read1(BLOCK_BYTES):
                self.wfile.write(block)
                self.wfile.flush()
        else:
            self.server.was_buffered.append(path)
            self.wfile.write(response.read())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def run_proxy(path: str = "", strips_path: bool = True) -> Iterator[Proxy]:
    """Run a proxy; see `Proxy` for the arguments."""
    with Proxy(path, strips_path) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield proxy
        proxy.shutdown()
