"""A relay between FFmpeg and a camera, so that FFmpeg does not follow redirects of the camera.

The relay listens on this machine and connects to the address that was checked. It parses what both
sides send (RTSP 1.0), and closes the connection at a redirect or at anything that is not RTSP.
FFmpeg always speaks RTSP over TCP. To a camera that offers UDP only, the relay speaks UDP.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from exvad.serving.sources.camera_problems import (
    NO_PACKETS,
    NO_RTSP,
    NO_TRANSPORT,
    describe_silence,
    describe_status,
)
from exvad.serving.sources.rtsp_udp import UdpTracks
from exvad.serving.sources.tls_bridge import bridge

CONNECT_SECONDS = 8.0  # less than FFmpeg waits for the relay
MAX_HEAD_BYTES = 2**16
MAX_BODY_BYTES = 2**20
STATUS = re.compile(rb"RTSP/1\.[01] (\d{3})\b")
CONTENT_LENGTH = re.compile(rb"^content-length:\s*(\d{1,7})\s*$", re.I | re.M)
SEQUENCE = re.compile(rb"^cseq:\s*(\d{1,9})\s*$", re.I | re.M)

Report = Callable[[str], None]


class RelayError(ValueError):
    """A camera sent a redirect, or something that is not RTSP."""


@dataclass(frozen=True)
class CameraAddress:
    """Where a camera is.

    Args:
        host: its address, already checked.
        port: its port.
        has_login: whether its URL has a user name.
        tls_name: name on its certificate; empty for a connection without TLS.
    """

    host: str
    port: int
    has_login: bool = False
    tls_name: str = ""


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
        arguments = (server, lambda: CameraAddress(host, port))
        threading.Thread(target=serve, args=arguments, daemon=True).start()
        yield server.getsockname()[1]


def serve(
    server: socket.socket,
    find_camera: Callable[[], CameraAddress],
    report: Report | None = None,
) -> None:
    """Relay all connections until the server is closed.

    Args:
        server: listens for connections.
        find_camera: returns where the camera is.
        report: receives the newest problem in words, before FFmpeg sees it; empty if there is none
            any more; None to report to nobody.
    """
    report = report or _ignore
    while True:
        try:
            client, _ = server.accept()
        except OSError:  # the relay was closed
            return
        conversation = _Conversation(client, find_camera(), report)
        threading.Thread(target=conversation.run, daemon=True).start()


def forward(source: IO[bytes], send: Callable[[bytes], None]) -> None:
    """Forward the responses and packets of a camera until it closes the connection.

    Args:
        source: what the camera sends.
        send: receives what is forwarded.

    Raises:
        RelayError: the camera sent a redirect, or something that is not RTSP.
    """
    while (message := read_message(source)) is not None:
        _check_response(message)
        send(message)


def read_message(source: IO[bytes]) -> bytes | None:
    """Read a request, a response or an interleaved packet.

    Args:
        source: what one side sends.

    Returns:
        None at the end.

    Raises:
        RelayError: it is too long, or the source ended in the middle of it.
    """
    first_byte = source.read(1)
    if not first_byte:
        return None
    if first_byte == b"$":  # an interleaved packet: channel, length, payload
        head = _read_exactly(source, 3)
        return first_byte + head + _read_exactly(source, int.from_bytes(head[1:], "big"))
    head = first_byte
    while not head.endswith(b"\r\n\r\n"):
        line = source.readline(MAX_HEAD_BYTES)
        head += line
        if not line or len(head) > MAX_HEAD_BYTES:
            raise RelayError(NO_RTSP)
    length = CONTENT_LENGTH.search(head.replace(b"\r\n", b"\n"))
    size = 0 if length is None else int(length[1])
    if size > MAX_BODY_BYTES:
        raise RelayError(f"the camera sent a response of {size} bytes")
    return head + _read_exactly(source, size)


class _Conversation:
    """One connection of FFmpeg to a camera.

    Args:
        client: the connection to FFmpeg.
        address: where the camera is.
        report: receives the newest problem; see `serve`.
    """

    def __init__(self, client: socket.socket, address: CameraAddress, report: Report) -> None:
        self._client, self._address, self._report = client, address, report
        self._sending = threading.Lock()  # packets of UDP come from other threads
        self._setups: dict[int, bytes] = {}  # CSeq → a SETUP that is not answered yet
        self._is_leaving = False  # FFmpeg ends the session, with success or after a problem
        self._tracks = UdpTracks(address.host, self._send, lambda: report(""))

    def run(self) -> None:
        """Relay until one of the sides closes its connection."""
        with self._client:
            try:
                camera = self._connect()
            except OSError as error:
                self._report(describe_silence(error, CONNECT_SECONDS))
                return
            with camera:
                requests = threading.Thread(target=self._forward_requests, args=(camera,))
                requests.daemon = True
                requests.start()
                with suppress(OSError):
                    self._forward_responses(camera)
                self._tracks.close()
                _shut_down(self._client)
                _shut_down(camera)
                requests.join()

    def _connect(self) -> socket.socket:
        place = (self._address.host, self._address.port)
        camera = socket.create_connection(place, CONNECT_SECONDS)
        if self._address.tls_name:
            camera = bridge(camera, self._address.tls_name)
        camera.settimeout(None)
        return camera

    def _forward_requests(self, camera: socket.socket) -> None:
        with suppress(RelayError, OSError), self._client.makefile("rb") as requests:
            while (request := read_message(requests)) is not None:
                self._is_leaving |= request.startswith(b"TEARDOWN ")
                if request.startswith(b"SETUP "):
                    self._setups[_sequence(request)] = request
                    if self._tracks.are_needed:
                        request = self._tracks.setup_request(request)
                if request.startswith(b"$"):
                    self._tracks.send(request)
                if not (request.startswith(b"$") and self._tracks.are_needed):
                    camera.sendall(request)
        _shut_down(camera)

    def _forward_responses(self, camera: socket.socket) -> None:
        with camera.makefile("rb") as responses:
            try:
                while (response := read_message(responses)) is not None:
                    self._forward_response(response, camera)
            except RelayError as error:
                self._report(str(error))

    def _forward_response(self, response: bytes, camera: socket.socket) -> None:
        if response.startswith(b"$"):
            self._send(response)
            return
        status = STATUS.match(response)
        setup = self._setups.pop(_sequence(response), None)
        refuses_tcp = status is not None and int(status[1]) == NO_TRANSPORT
        if refuses_tcp and setup is not None and not self._tracks.are_needed:
            self._setups[_sequence(setup)] = setup
            camera.sendall(self._tracks.setup_request(setup))  # the same request, for UDP
            return
        if status is not None and int(status[1]) >= 300:
            self._report(describe_status(int(status[1]), self._address.has_login))
        elif status is not None and not self._is_leaving:
            self._report(NO_PACKETS if self._tracks.are_silent else "")
        _check_response(response)
        if setup is not None and self._tracks.are_needed:
            response = self._tracks.setup_response(setup, response)
        self._send(response)

    def _send(self, message: bytes) -> None:
        with self._sending:
            self._client.sendall(message)


def _ignore(problem: str) -> None:
    """Report to nobody."""


def _check_response(message: bytes) -> None:
    """Check that a camera may have sent a message to FFmpeg.

    Raises:
        RelayError: it is a redirect, or neither a response nor a packet.
    """
    if message.startswith(b"$"):
        return
    status = STATUS.match(message)
    if status is None:
        raise RelayError(NO_RTSP)
    if status[1].startswith(b"3"):
        raise RelayError(describe_status(int(status[1]), has_login=False))


def _sequence(message: bytes) -> int:
    found = SEQUENCE.search(message.replace(b"\r\n", b"\n"))
    return -1 if found is None else int(found[1])


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it is shut down already
        connection.shutdown(socket.SHUT_RDWR)


def _read_exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise RelayError("the camera closed the connection in the middle of a message")
    return data
