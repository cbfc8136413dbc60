"""A real S3 endpoint over HTTP (moto), and a proxy before it that delays, fails and counts."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import IO, Literal, cast

import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from tests.helpers.http_bodies import read_body

KEY, SECRET = "key-of-tests", "secret-of-tests"
_BLOCK = 1 << 16
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
_HOP = {"connection", "host", "transfer-encoding", "keep-alive"}

Kind = Literal["403", "503", "reset", "reset in body", "stall"]


@dataclass
class Faults:
    """What happens to some of the requests.

    Args:
        kind: the answer is 403 or 503 with a reason, the connection is reset before the answer or
            in the middle of it, or nothing is answered for some seconds.
        times: to how many requests it happens.
        method: which requests: of this method, "" for all.
        part: which requests: with this text in their path.
        after: whether the request is passed on first, so that only its answer is lost.
        skip: how many of these requests nothing happens to before.
    """

    kind: Kind
    times: int
    method: str = ""
    part: str = ""
    after: bool = False
    skip: int = 0


@dataclass
class Proxy:
    """An HTTP proxy before one server.

    Args:
        port: port of the server, on this machine.
        delay: seconds before each answer.
        rate: bytes per second of each connection; 0 for as fast as possible.

    Attributes:
        requests: method and path of each request so far.
        keys: the access key that signed each request.
        faults: what happens to the next requests.
        stall_seconds: how long a stalled request waits.
    """

    port: int
    delay: float = 0.0
    rate: float = 0.0
    requests: list[tuple[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    faults: list[Faults] = field(default_factory=list)
    stall_seconds: float = 3.0
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, method: str = "", part: str = "") -> int:
        """Return the number of requests with a method and a text in their path."""
        return sum(method in (m, "") and part in path for m, path in self.requests)

    def next_fault(self, method: str, path: str) -> Faults | None:
        """Return what happens to a request, once per occurrence."""
        with self._lock:
            for faults in self.faults:
                if faults.times and faults.method in (method, "") and faults.part in path:
                    if faults.skip:
                        faults.skip -= 1
                        continue
                    faults.times -= 1
                    return faults
        return None


@contextmanager
def proxy_before(port: int, delay: float = 0.0, rate: float = 0.0) -> Iterator[Proxy]:
    """Run a proxy before a server on this machine; see `Proxy`."""
    proxy = Proxy(port, delay, rate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = read_body(self)
            proxy.requests.append((self.command, self.path))
            proxy.keys.append(
                self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
            )
            time.sleep(proxy.delay)
            fault = proxy.next_fault(self.command, self.path)
            if fault is not None and not fault.after and self._fail(fault.kind):
                return
            headers = {n: v for n, v in self.headers.items() if n.lower() not in _HOP}
            headers["Host"] = self.headers["Host"]
            upstream = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
            with closing(upstream):
                upstream.request(self.command, self.path, body or None, headers)
                answer = upstream.getresponse()
                if fault is not None and fault.after and self._fail(fault.kind):
                    return
                length = answer.getheader("Content-Length")
                whole = b"" if length else answer.read()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {*_HOP, "content-length"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", length or str(len(whole)))
                self.end_headers()
                if self.command == "HEAD":
                    return
                source: IO[bytes] = BytesIO(whole) if whole else cast("IO[bytes]", answer)
                broken = fault is not None and fault.kind == "reset in body"
                self._send(source, int(length or len(whole)) // (2 if broken else 1))
                if broken:
                    self._reset()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward

        def _send(self, source: IO[bytes], size: int) -> None:
            begin, sent = time.monotonic(), 0
            while sent < size:
                block = source.read(min(_BLOCK, size - sent))
                self.wfile.write(block)
                sent += len(block)
                if proxy.rate:
                    time.sleep(max(0.0, begin + sent / proxy.rate - time.monotonic()))

        def _fail(self, kind: Kind) -> bool:
            """Answer with a failure; return whether that was all."""
            if kind == "stall":
                time.sleep(proxy.stall_seconds)
                self._reset()
            elif kind == "reset":
                self._reset()
            elif kind in ("403", "503"):
                self.send_response_only(int(kind))
                self.send_header("Content-Length", str(len(_SLOW_DOWN)))
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else _SLOW_DOWN)
            return kind != "reset in body"

        def _reset(self) -> None:
            # Without lingering, closing sends a reset instead of an orderly end.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, ValueError):
                self.close_connection = True  # reset by either side

        def finish(self) -> None:
            try:
                super().finish()
            except (ConnectionError, ValueError, OSError):
                return

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler


@dataclass
class ObjectStore:
    """A bucket at a real endpoint, behind a proxy.

    Args:
        bucket: its name.
        proxy: the proxy, whose address is the endpoint of the environment.
        direct: a client that passes by the proxy.
    """

    bucket: str
    proxy: Proxy
    direct: S3Store

    def url(self, path: str) -> str:
        """Return the URI of an object."""
        return f"s3://{self.bucket}/{path}"

    def put(self, path: str, data: bytes) -> str:
        """Write an object past the proxy; return its URI."""
        obstore.put(self.direct, path, data, use_multipart=False)
        return self.url(path)

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all objects below a prefix, past the proxy."""
        found = obstore.list(self.direct, prefix or None).collect()
        return sorted(item["path"] for item in found)


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Run a server of S3 with one bucket and a proxy, and point the environment to the proxy."""
    # A process has one client per bucket, so every endpoint needs a bucket of its own.
    bucket = f"bucket-{uuid.uuid4().hex}"
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("PUT", f"/{bucket}")
        assert connection.getresponse().status == 200
        connection.close()
        direct = S3Store(
            bucket,
            endpoint=f"http://127.0.0.1:{port}",
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
        )
        with proxy_before(port) as proxy, pytest.MonkeyPatch.context() as patch:
            for name, value in environment(proxy.url).items():
                patch.setenv(name, value)
            yield ObjectStore(bucket, proxy, direct)
    finally:
        server.stop()


def environment(endpoint: str) -> dict[str, str]:
    """Return the usual variables for an endpoint with the keys of the tests."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
