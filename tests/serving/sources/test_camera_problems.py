"""Cameras that can't be watched are told apart in words, from their first answer on."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exvad.serving.sources.camera_problems import describe_silence
from exvad.serving.sources.rtsp_relay import CameraAddress, serve
from exvad.video.container import VideoError
from exvad.video.frame_buffer import Notice
from exvad.video.live_source import LiveSource
from tests.helpers.certificates import self_signed
from tests.helpers.live_server import encode_broadcast
from tests.helpers.rtsp import rtsp_camera


@pytest.fixture(scope="module")
def broadcast() -> bytes:
    return encode_broadcast()


def watch(address: CameraAddress, login: str = "") -> tuple[int, str]:
    """Watch a camera once; return the number of frames, and why there are no more."""
    problems = [""]
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = (server, lambda: address, problems.append)
        threading.Thread(target=serve, args=arguments, daemon=True).start()
        port = server.getsockname()[1]

        @contextmanager
        def open(stopped: threading.Event) -> Iterator[str]:
            try:
                yield f"rtsp://{login}127.0.0.1:{port}/door"
            except VideoError as error:
                raise VideoError("door", problems[-1] or error.reason) from None

        source = LiveSource(open, "door", 16, 120, max_retries=0)
        frames, notices = 0, list[str]()
        stopped = threading.Event()
        for item in source.follow(stopped):
            if isinstance(item, Notice):
                notices.append(item.text)
                if item.kind in ("lost", "ended"):
                    stopped.set()
            else:
                frames += len(item)
    return frames, notices[-1]


def camera_problem(broadcast: bytes, login: str = "", password: str = "", **options: Any) -> str:
    """Return why a camera that requires `password` can't be watched with `login`."""
    with rtsp_camera(broadcast, password, **options) as camera:
        host, port = camera.server_address[:2]
        frames, problem = watch(CameraAddress(str(host), port, bool(login)), login)
    assert frames == 0
    return problem


def test_a_wrong_password_a_missing_one_and_a_wrong_path_are_told_apart(broadcast: bytes) -> None:
    wrong = camera_problem(broadcast, "guard:guess@", password="guard:p#s")
    assert "refuses the user name or the password" in wrong
    missing = camera_problem(broadcast, password="guard:p#s")
    assert "asks for a user name and a password" in missing
    path = camera_problem(broadcast, statuses={"DESCRIBE": "404 Not Found"})
    assert "no stream of this name: check the path" in path
    busy = camera_problem(broadcast, statuses={"SETUP": "453 Not Enough Bandwidth"})
    assert "no bandwidth left" in busy
    other = camera_problem(broadcast, statuses={"PLAY": "500 Internal Error"})
    assert "answered with status 500" in other


def test_a_camera_without_tcp_is_watched_by_udp(broadcast: bytes) -> None:
    with rtsp_camera(broadcast, transport="udp") as camera:
        host, port = camera.server_address[:2]
        frames, _ = watch(CameraAddress(str(host), port))
    assert frames > 3


def test_an_rtsps_camera_is_watched_if_its_certificate_is_trusted(
    broadcast: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, tls = self_signed(tmp_path)
    with rtsp_camera(broadcast, tls=tls) as camera:
        host, port = camera.server_address[:2]
        address = CameraAddress(str(host), port, tls_name="127.0.0.1")
        frames, problem = watch(address)
        assert frames == 0
        assert "certificate of the camera is not trusted" in problem
        assert "SSL_CERT_FILE" in problem
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert watch(address)[0] > 3
    with rtsp_camera(broadcast) as plain:
        port = plain.server_address[1]
        address = CameraAddress("127.0.0.1", port, tls_name="127.0.0.1")
        assert "does not speak TLS" in watch(address)[1]


def test_udp_that_a_firewall_drops_is_named(broadcast: bytes) -> None:
    neither = {"SETUP": "461 Unsupported Transport"}
    assert "neither RTSP over TCP nor over UDP" in camera_problem(broadcast, statuses=neither)
    silent = camera_problem(broadcast, transport="silent")
    assert "none of its UDP packets arrive" in silent


def test_a_camera_that_is_off_and_a_port_without_rtsp_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "refuses connections to this port" in watch(CameraAddress("127.0.0.1", port))[1]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_http() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer_http, daemon=True).start()
        address = CameraAddress("127.0.0.1", server.getsockname()[1])
        assert "does not speak RTSP" in watch(address)[1]


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.EHOSTDOWN])
def test_an_address_where_nobody_is_counts_as_off(number: int) -> None:
    text = describe_silence(OSError(number, os.strerror(number)), 5)
    assert "no camera at this address" in text
    assert "it is off" in text
    network = OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
    assert "can't be reached (Network is unreachable)" in describe_silence(network, 5)


def test_a_redirect_is_named(broadcast: bytes) -> None:
    moved = camera_problem(broadcast, statuses={"OPTIONS": "302 Moved"})
    assert "redirects to another address" in moved
