"""Cameras that answer by HTTP get their login when they ask for it, and nobody else gets it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, cast

import httpx2 as httpx
import pytest

from exvad.serving.settings import ServerSettings
from exvad.serving.sources.camera_login import CameraLogin
from exvad.serving.sources.camera_url import normalize_camera_url
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.sources.stream_reader import SourceSpec
from exvad.video.frame_buffer import Notice
from tests.helpers.hls import hls_server, playlist, split
from tests.helpers.http_login import Guard
from tests.helpers.videos import read_index, write_video

SETTINGS = ServerSettings.model_validate({"url_networks": ["127.0.0.0/8"]})
PASSWORD = "p#s/w @:%ü"
Way = Literal["Basic", "Digest"]


class CameraServer(ThreadingHTTPServer):
    """A camera that sends its address back, or redirects; see `camera`."""

    guard: Guard
    target: str = ""
    challenge: str = ""


class CameraHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_GET(self) -> None:
        server = cast("CameraServer", self.server)
        if server.challenge:
            self.send_response(401)
            self.send_header("WWW-Authenticate", server.challenge)
            self.end_headers()
        elif server.guard.lets_pass(self):
            self.send_response(302 if server.target else 200)
            if server.target:
                self.send_header("Location", server.target)
            self.end_headers()
            self.wfile.write(b"picture")

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def camera(guard: Guard, target: str = "", challenge: str = "") -> Iterator[int]:
    """Run a camera; yield its port.

    Args:
        guard: asks for the login.
        target: where it redirects to; empty for nowhere.
        challenge: how it asks for a login that it never accepts; empty to ask by `guard`.
    """
    server = CameraServer(("127.0.0.1", 0), CameraHandler)
    server.guard, server.target, server.challenge = guard, target, challenge
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetch(url: str) -> bytes:
    """Fetch the stream of a camera."""
    bare, login = CameraLogin.split(normalize_camera_url(url))
    fetcher = Fetcher(SETTINGS, login=login)

    async def read() -> bytes:
        async with fetcher.open(bare, endless=True) as parts:
            return b"".join([part async for part in parts])

    asyncio.run(fetcher.check_stream(normalize_camera_url(url)))
    return asyncio.run(read())


@pytest.mark.parametrize("way", ["Basic", "Digest"])
def test_a_camera_gets_the_login_that_it_asks_for(way: Way) -> None:
    guard = Guard(way, "guard", PASSWORD)
    with camera(guard) as port:
        assert fetch(f"http://guard:{PASSWORD}@127.0.0.1:{port}/live?channel=1") == b"picture"
        assert guard.sent[0] == ""
        with pytest.raises(ValueError, match="refuses the user name or the password") as wrong:
            fetch(f"http://guard:guess@127.0.0.1:{port}/live")
        assert "guess" not in str(wrong.value)
        with pytest.raises(ValueError, match="asks for a user name and a password: http://USER:"):
            fetch(f"http://127.0.0.1:{port}/live")


@pytest.mark.parametrize("way", ["Basic", "Digest"])
def test_a_login_does_not_follow_a_redirect_to_another_place(way: Way) -> None:
    thief = Guard("Basic", "guard", "secret")
    with (
        camera(thief) as port,
        camera(Guard(way, "guard", "secret"), f"http://127.0.0.1:{port}/") as begin,
        pytest.raises(ValueError, match=r"leads to 127\.0\.0\.1, which answered with status 401"),
    ):
        fetch(f"http://guard:secret@127.0.0.1:{begin}/live")
    assert thief.sent == [""]


def test_a_camera_that_is_off_is_named_in_words() -> None:
    with camera(Guard("Basic", "guard", "secret")) as port:
        pass
    with pytest.raises(ValueError, match=r"refuses connections .* HTTP is switched on") as off:
        fetch(f"http://guard:secret@127.0.0.1:{port}/live")
    assert "secret" not in str(off.value)


@pytest.mark.parametrize(
    "challenge", ["Digest nonsense", 'Digest realm="x", nonce="y", qop="auth-int"', "Negotiate"]
)
def test_another_way_to_ask_for_a_login_is_named(challenge: str) -> None:
    with camera(Guard("Basic", "guard", "secret"), challenge=challenge) as port:
        message = "in a way that is not supported|refuses the user name"
        with pytest.raises(ValueError, match=message) as refused:
            fetch(f"http://guard:secret@127.0.0.1:{port}/live")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "belongs"),
    [
        ("http://camera.example/a", True),
        ("http://camera.example:80/a", True),
        ("https://camera.example/a", True),
        ("http://camera.example:8080/a", False),
        ("http://camera.example.org/a", False),
        ("https://camera.example:8443/a", False),
    ],
)
def test_a_login_belongs_to_the_host_of_the_camera(url: str, belongs: bool) -> None:
    bare, login = CameraLogin.split("http://guard:secret@camera.example/live")
    assert bare == "http://camera.example/live"
    assert login is not None
    assert login.belongs_to(httpx.URL(url)) == belongs
    _, by_tls = CameraLogin.split("https://guard:secret@camera.example/live")
    assert by_tls is not None
    assert not by_tls.belongs_to(httpx.URL("http://camera.example/live"))


@pytest.mark.parametrize("way", ["Basic", "Digest"])
def test_the_segments_of_a_playlist_get_the_login_on_the_camera_only(
    tmp_path: Path, way: Way
) -> None:
    files = split(write_video(tmp_path / "clip.ts", 75, size=(64, 48), gop=25))
    guard, thief = Guard(way, "guard", PASSWORD), Guard("Basic", "guard", PASSWORD)
    with hls_server(files, [""]) as other, hls_server(files, [""], guard) as server:
        other.guard = thief
        away = other.url("part2.ts")
        server.playlists = [playlist(["part0.ts", "part1.ts", away], ended=True)]
        url = server.url().replace("//", f"//guard:{PASSWORD}@")
        spec = SourceSpec(
            "door", normalize_camera_url(url), None, 5, 48, ["127.0.0.0/8"], 0.1, 4 * 2**30, 0.0
        )
        stopped, frames, notices = threading.Event(), list[int](), list[str]()
        for item in StreamProcess(spec).follow(stopped):
            if isinstance(item, Notice):
                notices.append(item.text)
                if item.kind != "connected":
                    stopped.set()
            else:
                frames += [read_index(frame.frame) for frame in item]
    assert frames[:9] == list(range(0, 45, 5))
    assert "127.0.0.1 answered with status 401" in " ".join(notices)
    assert not any("guard" in notice or "p#" in notice for notice in notices)
    assert set(thief.sent) == {""}


def test_a_camera_with_an_unknown_digest_gets_the_login_plainly_if_it_takes_that() -> None:
    login = CameraLogin("guard", "secret", "http://cam.example/")
    request = httpx.Request("GET", "http://cam.example/")
    ways = ['Digest realm="x", nonce="y", algorithm=SHA-512-256', 'Basic realm="x"']
    flow = login.sign(request)
    next(flow)
    headers = [("WWW-Authenticate", way) for way in ways]
    signed = flow.send(httpx.Response(401, headers=headers, request=request))
    assert signed.headers["authorization"].startswith("Basic ")
