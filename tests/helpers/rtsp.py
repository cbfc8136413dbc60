"""A camera that speaks RTSP and sends MPEG-TS, in the same connection or by UDP."""

from __future__ import annotations

import base64
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

PACKET_BYTES = 7 * 188  # MPEG-TS packets of 188 bytes, seven of them in an RTP packet
MPEG_TS = 33  # payload type of RTP
PACKET_PAUSE = 0.001


class RtspCamera(socketserver.ThreadingTCPServer):
    """A camera on a free port.

    Args:
        broadcast: what it sends to every client, MPEG-TS.
        login: `user:password` that it requires; empty for none.
        transport: the only one that it offers; `silent` is UDP that a firewall drops.
        statuses: method → status that it answers with, such as `404 Not Found`.
        tls: for rtsps; None for rtsp.

    Attributes:
        num_plays: number of times that a client started the broadcast.
    """

    daemon_threads = True

    def __init__(
        self,
        broadcast: bytes,
        login: str,
        transport: Literal["tcp", "udp", "silent"] = "tcp",
        statuses: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), RtspSession)
        self.broadcast, self.login, self.num_plays = broadcast, login, 0
        self.transport, self.statuses, self.tls = transport, dict(statuses or {}), tls

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client, with TLS if it is asked for."""
        connection, address = super().get_request()
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close their connection in the middle of the broadcast."""

    @property
    def url(self) -> str:
        """URL of the camera, with the login."""
        login = f"{self.login}@" if self.login else ""
        scheme = "rtsp" if self.tls is None else "rtsps"
        return f"{scheme}://{login}127.0.0.1:{self.server_address[1]}/door"


class RtspSession(socketserver.StreamRequestHandler):
    """The connection of one client: answers its requests, and sends the broadcast after PLAY."""

    server: RtspCamera
    _udp: Any = None

    def handle(self) -> None:
        """Answer requests until the client closes the connection or PLAY has ended."""
        while request := self.rfile.readline():
            headers = {}
            while (line := self.rfile.readline().strip()) and b":" in line:
                name, _, value = line.partition(b":")
                headers[name.lower()] = value.strip().decode()
            method, sequence = request.split()[0], headers.get(b"cseq", "0")
            if not self._is_authorized(headers.get(b"authorization", "")):
                challenge = {"WWW-Authenticate": 'Basic realm="x"'}
                self._respond(sequence, "401 Unauthorized", challenge)
                continue
            if status := self.server.statuses.get(method.decode()):
                self._respond(sequence, status, {})
                continue
            self._answer(method, sequence, headers.get(b"transport", ""))
            if method == b"PLAY":
                self._play()
                return

    def _is_authorized(self, authorization: str) -> bool:
        expected = base64.b64encode(self.server.login.encode()).decode()
        return authorization == f"Basic {expected}" or not self.server.login

    def _answer(self, method: bytes, sequence: str, wanted: str) -> None:
        if method == b"DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=door\r\nt=0 0\r\n"
                f"m=video 0 RTP/AVP {MPEG_TS}\r\na=control:track\r\n"
            )
            self._respond(sequence, "200 OK", {"Content-Type": "application/sdp"}, body)
        elif method == b"SETUP":
            by_udp = "client_port" in wanted
            if by_udp == (self.server.transport == "tcp"):
                self._respond(sequence, "461 Unsupported Transport", {})
                return
            transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
            if by_udp:
                self._open_udp(int(wanted.partition("client_port=")[2].split("-")[0]))
                port = self._udp.getsockname()[1]
                transport = f"{wanted};server_port={port}-{port + 1}"
            self._respond(sequence, "200 OK", {"Transport": transport, "Session": "1"})
        else:
            headers = {"Session": "1", "Public": "DESCRIBE, SETUP, PLAY"}
            self._respond(sequence, "200 OK", headers)

    def _respond(self, sequence: str, status: str, headers: dict[str, str], body: str = "") -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {sequence}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", body]
        self.wfile.write("\r\n".join(lines).encode())

    def _open_udp(self, client_port: int) -> None:
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self._udp.connect((self.client_address[0], client_port))

    def finish(self) -> None:
        """Close the connections."""
        super().finish()
        if self._udp is not None:
            self._udp.close()

    def _play(self) -> None:
        self.server.num_plays += 1
        broadcast = self.server.broadcast
        for number, start in enumerate(range(0, len(broadcast), PACKET_BYTES)):
            payload = broadcast[start : start + PACKET_BYTES]
            header = struct.pack("!BBHII", 0x80, MPEG_TS, number % 2**16, number * 3000, 1)
            packet = header + payload
            if self.server.transport == "tcp":
                self.wfile.write(b"$\0" + struct.pack("!H", len(packet)) + packet)
            elif self.server.transport == "udp":
                self._udp.send(packet)
            time.sleep(PACKET_PAUSE)


@contextmanager
def rtsp_camera(broadcast: bytes, login: str = "", **options: Any) -> Iterator[RtspCamera]:
    """Run a camera; see `RtspCamera`."""
    camera = RtspCamera(broadcast, login, **options)
    thread = threading.Thread(target=camera.serve_forever)
    thread.start()
    try:
        yield camera
    finally:
        camera.shutdown()
        thread.join()
        camera.server_close()
