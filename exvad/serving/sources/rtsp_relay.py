"""A relay between FFmpeg and a camera, so that FFmpeg does not follow redirects of the camera.

The relay listens on this machine and connects to the address that was checked. It parses what the
camera sends (RTSP 1.0 with interleaved packets), and closes the connection at a redirect or at
anything that is not RTSP.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

TIMEOUT_SECONDS = 30.0
MAX_HEAD_BYTES = 2**16
MAX_BODY_BYTES = 2**20
STATUS = re.compile(rb"RTSP/1\.[01] (\d{3})\b")
CONTENT_LENGTH = re.compile(rb"^content-length:\s*(\d{1,7})\s*$", re.I | re.M)


class RelayError(ValueError):
    """A camera sent a redirect, or something that is not RTSP."""


@contextmanager
def relay(host: str, port: int) -> Iterator[int]:
    """Run a relay to a camera.

    Args:
        host: the camera's address, already checked.
        port: the camera's port.

    Yields:
        The port of the relay on this machine.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server, lambda: (host, port)), daemon=True).start()
        yield server.getsockname()[1]


def serve(server: socket.socket, find_camera: Callable[[], tuple[str, int]]) -> None:
    """Relay all connections until the server is closed.

    Args:
        server: listens for connections.
        find_camera: returns the camera's address, already checked, and its port.
    """
    while True:
        try:
            client, _ = server.accept()
        except OSError:  # the relay was closed
            return
        arguments = (client, *find_camera())
        threading.Thread(target=_relay_client, args=arguments, daemon=True).start()


def forward(source: IO[bytes], send: Callable[[bytes], None]) -> None:
    """Forward the responses and packets of a camera until it closes the connection.

    Args:
        source: what the camera sends.
        send: receives what is forwarded.

    Raises:
        RelayError: the camera sent a redirect, or something that is not RTSP.
    """
    while first_byte := source.read(1):
        if first_byte == b"$":  # an interleaved packet: channel, length, payload
            head = _read_exactly(source, 3)
            payload = _read_exactly(source, int.from_bytes(head[1:], "big"))
            send(first_byte + head + payload)
            continue
        head = first_byte
        while not head.endswith(b"\r\n\r\n"):
            line = source.readline(MAX_HEAD_BYTES)
            head += line
            if not line or len(head) > MAX_HEAD_BYTES:
                raise RelayError("the camera sent a response without an end")
        status = STATUS.match(head)
        if status is None or status[1].startswith(b"3"):
            raise RelayError("the camera sent a redirect, or no RTSP response")
        length = CONTENT_LENGTH.search(head.replace(b"\r\n", b"\n"))
        size = 0 if length is None else int(length[1])
        if size > MAX_BODY_BYTES:
            raise RelayError(f"the camera sent a response of {size} bytes")
        send(head + _read_exactly(source, size))


def _relay_client(client: socket.socket, host: str, port: int) -> None:
    with client:
        try:
            camera = socket.create_connection((host, port), TIMEOUT_SECONDS)
        except OSError:
            return
        with camera:
            requests = threading.Thread(target=_copy, args=(client, camera), daemon=True)
            requests.start()
            with suppress(RelayError, OSError), camera.makefile("rb") as responses:
                forward(responses, client.sendall)
            _shut_down(client)
            _shut_down(camera)
            requests.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)
    _shut_down(target)


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it is shut down already
        connection.shutdown(socket.SHUT_RDWR)


def _read_exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise RelayError("the camera closed the connection in the middle of a response")
    return data
