"""Clients that leave in the middle: nothing half is kept, nothing goes on for nobody."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.helpers.server import Server
from tests.helpers.videos import write_video


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.end()


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Tell whether something comes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.socket.getsockname()[1]), timeout=10)


@pytest.mark.parametrize("kind", ["application/octet-stream", "multipart/form-data; boundary=x"])
def test_a_client_that_leaves_while_it_uploads_leaves_nothing(server: Server, kind: str) -> None:
    folder = server.settings.spool / "videos"
    with connected(server) as line:
        head = f"POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        line.sendall(f"{head}Content-Length: 100000\r\n\r\n--x\r\n".encode())
        line.sendall(b'Content-Disposition: form-data; name="video"\r\n\r\n' + b"v" * 5000)
        assert within(10, lambda: bool(list(folder.glob("*.part"))))
    assert within(10, lambda: not list(folder.iterdir()))
    with httpx.Client(base_url=server.url) as http:
        assert http.get("/v1/analyses").json()["total"] == 0


def test_following_ends_when_the_client_leaves(server: Server, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", 48, size=(64, 48))

    def answering() -> int:
        return len(server.http.server_state.tasks)

    with httpx.Client(base_url=server.url) as http:
        number = http.post("/v1/analyses", content=clip.read_bytes()).json()["id"]
    lines = [connected(server) for _ in range(20)]
    for line in lines:
        line.sendall(
            f"GET /v1/analyses/{number}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        assert line.recv(12) == b"HTTP/1.1 200"
    assert within(10, lambda: answering() == 20)
    for line in lines:
        line.close()
    assert within(10, lambda: answering() == 0)
    server.begin()
    with httpx.Client(base_url=server.url, timeout=30) as http:
        assert http.get(f"/v1/analyses/{number}?wait=20").json()["state"] == "done"
