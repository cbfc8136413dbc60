"""Videos by URL: from a real server, and never from where only this machine can reach."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher, ForbiddenURLError, is_public

LOCAL = {"url_networks": ["127.0.0.0/8"]}


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert self.headers["Host"].startswith("videos.example")
        if self.path == "/clip":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"picture" * 10)
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            threading.Event().wait(2)
        elif self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://intern.example/clip")
            self.end_headers()
        elif self.path == "/round":
            self.send_response(302)
            self.send_header("Location", "/round")
            self.end_headers()
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


async def names(host: str, _: int) -> Sequence[str]:
    known = {"videos.example": ["127.0.0.1"], "intern.example": ["10.0.0.1"]}
    return known.get(host, [host])


def fetch(url: str, **changed: Any) -> bytes:
    fetcher = Fetcher(ServerSettings(spool=Path("unused"), **changed), names)

    async def read() -> bytes:
        async with fetcher.open(url) as parts:
            return b"".join([part async for part in parts])

    return asyncio.run(read())


def test_a_video_is_read_from_the_very_address_that_was_checked(port: int) -> None:
    assert fetch(f"http://videos.example:{port}/clip", **LOCAL) == b"picture" * 10


@pytest.mark.parametrize(
    ("path", "message"),
    [("/away", "intern.example: not an address"), ("/round", "more than 3 redirects"),
     ("/none", "answers 404")],
)  # fmt: skip
def test_redirects_are_checked_and_counted(port: int, path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fetch(f"http://videos.example:{port}{path}", **LOCAL)


def test_a_download_takes_only_so_long(port: int) -> None:
    with pytest.raises(ValueError, match="longer than"):
        fetch(f"http://videos.example:{port}/slow", url_seconds=0.2, **LOCAL)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://10.1.2.3/",
        "http://169.254.169.254/latest/meta-data", "http://0.0.0.0/", "http://[fe80::1]/",
        "http://224.0.0.1/", "http://intern.example/", "ftp://videos.example/", "file:///etc/passwd",
        "http://me:secret@videos.example/", "http://", "nonsense", "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/", "http://192.0.0.1/", "http://100.64.0.1/",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenURLError) as refused:
        fetch(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("number", [0, 65536, 99999])
def test_a_port_that_does_not_exist_is_refused(number: int) -> None:
    fetcher = Fetcher(ServerSettings(), names)
    with pytest.raises(ForbiddenURLError, match=f"there is no port {number}"):
        asyncio.run(fetcher.check(f"http://1.1.1.1:{number}/"))
    with pytest.raises(ValueError, match="there is no port"):
        asyncio.run(fetcher.post(f"http://1.1.1.1:{number}/", b"", {}))


def test_public_addresses_are_let_through() -> None:
    for address in ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"):
        assert is_public(ipaddress.ip_address(address))
    assert is_public(ipaddress.ip_address("10.1.2.3"), [ipaddress.ip_network("10.1.0.0/16")])
    assert not is_public(ipaddress.ip_address("10.2.2.3"), [ipaddress.ip_network("10.1.0.0/16")])
