"""A camera that speaks RTSP and sends MPEG-TS in interleaved packets of the same connection."""

from __future__ import annotations

import base64
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PACKET_BYTES = 7 * 188  # MPEG-TS packets of 188 bytes, seven of them in an RTP packet
MPEG_TS = 33  # payload type of RTP
PACKET_PAUSE = 0.001


class RtspCamera(socketserver.ThreadingTCPServer):
    """A camera on a free port.

    Args:
        broadcast: what it sends to every client, MPEG-TS.
        login: `user:password` that it requires; empty for none.

    Attributes:
        num_plays: number of times that a client started the broadcast.
    """

    daemon_threads = True

    def __init__(self, broadcast: bytes, login: str) -> None:
        super().__init__(("127.0.0.1", 0), RtspSession)
        self.broadcast, self.login, self.num_plays = broadcast, login, 0

    @property
    def url(self) -> str:
        """URL of the camera, with the login."""
        login = f"{self.login}@" if self.login else ""
        return f"rtsp://{login}127.0.0.1:{self.server_address[1]}/door"


class RtspSession(socketserver.StreamRequestHandler):
    """The connection of one client: answers its requests, and sends the broadcast after PLAY."""

    server: RtspCamera

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
            self._answer(method, sequence)
            if method == b"PLAY":
                self._play()
                return

    def _is_authorized(self, authorization: str) -> bool:
        expected = base64.b64encode(self.server.login.encode()).decode()
        return authorization == f"Basic {expected}" or not self.server.login

    def _answer(self, method: bytes, sequence: str) -> None:
        if method == b"DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=door\r\nt=0 0\r\n"
                f"m=video 0 RTP/AVP {MPEG_TS}\r\na=control:track\r\n"
            )
            self._respond(sequence, "200 OK", {"Content-Type": "application/sdp"}, body)
        elif method == b"SETUP":
            transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
            self._respond(sequence, "200 OK", {"Transport": transport, "Session": "1"})
        else:
            headers = {"Session": "1", "Public": "DESCRIBE, SETUP, PLAY"}
            self._respond(sequence, "200 OK", headers)

    def _respond(self, sequence: str, status: str, headers: dict[str, str], body: str = "") -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {sequence}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", body]
        self.wfile.write("\r\n".join(lines).encode())

    def _play(self) -> None:
        self.server.num_plays += 1
        broadcast = self.server.broadcast
        for number, start in enumerate(range(0, len(broadcast), PACKET_BYTES)):
            payload = broadcast[start : start + PACKET_BYTES]
            header = struct.pack("!BBHII", 0x80, MPEG_TS, number % 2**16, number * 3000, 1)
            packet = header + payload
            self.wfile.write(b"$\0" + struct.pack("!H", len(packet)) + packet)
            time.sleep(PACKET_PAUSE)


@contextmanager
def rtsp_camera(broadcast: bytes, login: str) -> Iterator[RtspCamera]:
    """Run a camera; see `RtspCamera`."""
    camera = RtspCamera(broadcast, login)
    thread = threading.Thread(target=camera.serve_forever)
    thread.start()
    try:
        yield camera
    finally:
        camera.shutdown()
        thread.join()
        camera.server_close()
