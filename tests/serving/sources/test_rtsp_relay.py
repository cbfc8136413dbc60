"""What a camera may say through the relay, and what breaks it off."""

from __future__ import annotations

import io
import socket
import threading

import pytest

from exvad.serving.sources.rtsp_relay import BrokenTalkError, pass_on, relay


def passed(words: bytes) -> bytes:
    sent: list[bytes] = []
    pass_on(io.BytesIO(words), sent.append)
    return b"".join(sent)


def test_answers_and_pictures_are_passed_on_as_they_are() -> None:
    talk = (
        b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\n"
        b"RTSP/1.0 200 OK\r\nContent-length: 5\r\nCSeq: 2\r\n\r\nv=0\r\n"
        b"$\x00\x00\x03abc$\x01\x00\x00RTSP/1.0 200 OK\r\n\r\n"
    )
    assert passed(talk) == talk


@pytest.mark.parametrize(
    "words",
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
def test_what_leads_elsewhere_or_is_no_rtsp_breaks_off(words: bytes) -> None:
    sent: list[bytes] = []
    good = b"RTSP/1.0 200 OK\r\n\r\n"
    with pytest.raises(BrokenTalkError):
        pass_on(io.BytesIO(good + words), sent.append)
    assert b"".join(sent) == good


def test_the_relay_leads_to_the_camera_and_closes_at_a_redirection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as camera:

        def answer() -> None:
            line, _ = camera.accept()
            with line:
                asked = line.recv(1000)
                line.sendall(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n" if asked == b"one" else b"")
                line.recv(1000)
                line.sendall(b"RTSP/1.0 302 Found\r\nLocation: rtsp://x/\r\n\r\n")
                line.recv(1000)

        thread = threading.Thread(target=answer)
        thread.start()
        with (
            relay(*camera.getsockname()) as port,
            socket.create_connection(("127.0.0.1", port), 10) as client,
        ):
            client.sendall(b"one")
            assert client.recv(1000) == b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"
            client.sendall(b"two")
            assert client.recv(1000) == b""
        thread.join(10)
        assert not thread.is_alive()
