"""The relay forwards RTSP as it is, and ends at a redirect or at anything that is not RTSP."""

from __future__ import annotations

import io
import socket
import threading

import pytest

from exvad.serving.sources.rtsp_relay import RelayError, forward, relay

OK = b"RTSP/1.0 200 OK\r\n\r\n"
OPTIONS = b"OPTIONS rtsp://camera/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"


def test_forward_sends_responses_and_packets_unchanged() -> None:
    received = (
        b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\n"
        b"RTSP/1.0 200 OK\r\nContent-length: 5\r\nCSeq: 2\r\n\r\nv=0\r\n"
        b"$\x00\x00\x03abc$\x01\x00\x00RTSP/1.0 200 OK\r\n\r\n"
    )
    sent: list[bytes] = []
    forward(io.BytesIO(received), sent.append)
    assert b"".join(sent) == received


@pytest.mark.parametrize(
    "received",
    [
        b"RTSP/1.0 302 Found\r\nLocation: rtsp://127.0.0.1/\r\n\r\n",
        b"RTSP/1.0 301 Moved\r\n\r\n",
        b"REDIRECT rtsp://elsewhere/ RTSP/1.0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 9999999\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"x" * 2**17,
        b"$\x00\x00\x09abc",
    ],
)
def test_forward_ends_at_a_redirect_or_anything_else(received: bytes) -> None:
    sent: list[bytes] = []
    with pytest.raises(RelayError):
        forward(io.BytesIO(OK + received), sent.append)
    assert b"".join(sent) == OK


def test_relay_connects_to_the_camera_and_closes_at_a_redirect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as camera:

        def answer_requests() -> None:
            connection, _ = camera.accept()
            with connection:
                request = connection.recv(1000)
                connection.sendall(OK if request == OPTIONS else b"")
                connection.recv(1000)
                connection.sendall(b"RTSP/1.0 302 Found\r\nLocation: rtsp://x/\r\n\r\n")
                connection.recv(1000)

        thread = threading.Thread(target=answer_requests)
        thread.start()
        with (
            relay(*camera.getsockname()) as port,
            socket.create_connection(("127.0.0.1", port), 10) as client,
        ):
            client.sendall(OPTIONS)
            assert client.recv(1000) == OK
            client.sendall(OPTIONS)
            assert client.recv(1000) == b""
        thread.join(10)
        assert not thread.is_alive()
