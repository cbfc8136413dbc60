"""URLs are fetched from the address that was checked, and never from a private network."""

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

LOCAL_NETWORK = {"url_networks": ["127.0.0.0/8"]}


class VideoSite(BaseHTTPRequestHandler):
    """A site with a video, redirects, and a response that never comes."""

    def do_GET(self) -> None:
        assert self.headers["Host"].startswith("videos.example")
        if self.path == "/clip":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"content" * 10)
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            threading.Event().wait(2)
        elif self.path == "/away":
            self._redirect("http://intern.example/clip")
        elif self.path == "/round":
            self._redirect("/round")
        else:
            self.send_error(404)

    def _redirect(self, location: str) -> None:
        self.send_response(302)
        self.send_header("Location", location)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), VideoSite)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


async def resolve(host: str, _: int) -> Sequence[str]:
    addresses = {"videos.example": ["127.0.0.1"], "intern.example": ["10.0.0.1"]}
    return addresses.get(host, [host])


def fetch(url: str, **settings: Any) -> bytes:
    fetcher = Fetcher(ServerSettings(spool=Path("unused"), **settings), resolve)

    async def read() -> bytes:
        async with fetcher.open(url) as parts:
            return b"".join([part async for part in parts])

    return asyncio.run(read())


def test_open_reads_from_the_address_that_was_checked(port: int) -> None:
    assert fetch(f"http://videos.example:{port}/clip", **LOCAL_NETWORK) == b"content" * 10


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/away", "intern.example: not an address of the public internet"),
        ("/round", "redirects more than 3 times"),
        ("/none", "videos.example answered with status 404"),
    ],
)
def test_open_checks_and_counts_redirects(port: int, path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fetch(f"http://videos.example:{port}{path}", **LOCAL_NETWORK)


def test_open_ends_a_slow_download(port: int) -> None:
    with pytest.raises(ValueError, match=r"fetching took longer than 0\.2 s"):
        fetch(f"http://videos.example:{port}/slow", url_seconds=0.2, **LOCAL_NETWORK)


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
def test_open_refuses_a_url_that_is_not_public(url: str) -> None:
    with pytest.raises(ForbiddenURLError) as refused:
        fetch(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_check_and_post_refuse_a_port_that_does_not_exist(port: int) -> None:
    fetcher = Fetcher(ServerSettings(), resolve)
    with pytest.raises(ForbiddenURLError, match=f"there is no port {port}"):
        asyncio.run(fetcher.check(f"http://1.1.1.1:{port}/"))
    with pytest.raises(ValueError, match="there is no port"):
        asyncio.run(fetcher.post(f"http://1.1.1.1:{port}/", b"", {}))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("rtsp://user:secret@intern.example/door", "intern.example: not an address"),
        ("file:///etc/passwd", "only rtsp://, rtsps://, http:// and https:// streams"),
        ("rtsp://", "only rtsp://"),
        ("rtsp://host:port/", "the URL is invalid"),
    ],
)
def test_resolve_rtsp_refuses_other_urls(url: str, message: str) -> None:
    with pytest.raises(ForbiddenURLError, match=message) as refused:
        asyncio.run(Fetcher(ServerSettings(), resolve).resolve_rtsp(url))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize("host", ["cam\u202eera.example", "a" * 64 + ".example", "a..example"])
def test_check_stream_refuses_what_is_not_the_name_of_a_host(scheme: str, host: str) -> None:
    with pytest.raises(ForbiddenURLError, match="the URL is invalid"):
        asyncio.run(Fetcher(ServerSettings()).check_stream(f"{scheme}://{host}/door"))


def test_resolve_rtsp_returns_the_address_and_the_port() -> None:
    fetcher = Fetcher(ServerSettings.model_validate(LOCAL_NETWORK), resolve)
    assert asyncio.run(fetcher.resolve_rtsp("rtsp://videos.example/")) == ("127.0.0.1", 554)
    assert asyncio.run(fetcher.resolve_rtsp("rtsp://8.8.8.8:99/")) == ("8.8.8.8", 99)
    assert asyncio.run(fetcher.resolve_rtsp("rtsps://8.8.8.8/")) == ("8.8.8.8", 322)


def test_is_public_allows_public_addresses_and_the_given_networks() -> None:
    for address in ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"):
        assert is_public(ipaddress.ip_address(address))
    assert is_public(ipaddress.ip_address("10.1.2.3"), [ipaddress.ip_network("10.1.0.0/16")])
    assert not is_public(ipaddress.ip_address("10.2.2.3"), [ipaddress.ip_network("10.1.0.0/16")])
