"""A camera that speaks RTSP, with its pictures interleaved in the TCP connection, as MPEG-TS."""

from __future__ import annotations

import base64
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PACKET = 7 * 188  # bytes of MPEG-TS that fit into a packet
MPEG_TS = 33  # RTP's payload type


class Session(socketserver.StreamRequestHandler):
    """One client: answers its requests, and plays once it asks for that."""

    server: RtspCamera

    def handle(self) -> None:
        while request := self.rfile.readline():
            headers = {}
            while (line := self.rfile.readline().strip()) and b":" in line:
                name, _, value = line.partition(b":")
                headers[name.lower()] = value.strip().decode()
            method, sequence = request.split()[0], headers.get(b"cseq", "0")
            if not self._allowed(headers.get(b"authorization", "")):
                self._say(sequence, "401 Unauthorized", {"WWW-Authenticate": 'Basic realm="x"'})
                continue
            self._answer(method, sequence)
            if method == b"PLAY":
                self._play()
                return

    def _allowed(self, given: str) -> bool:
        wanted = base64.b64encode(self.server.login.encode()).decode()
        return given == f"Basic {wanted}" or not self.server.login

    def _answer(self, method: bytes, sequence: str) -> None:
        if method == b"DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=door\r\nt=0 0\r\n"
                f"m=video 0 RTP/AVP {MPEG_TS}\r\na=control:track\r\n"
            )
            self._say(sequence, "200 OK", {"Content-Type": "application/sdp"}, body)
        elif method == b"SETUP":
            how = "RTP/AVP/TCP;unicast;interleaved=0-1"
            self._say(sequence, "200 OK", {"Transport": how, "Session": "1"})
        else:
            self._say(sequence, "200 OK", {"Session": "1", "Public": "DESCRIBE, SETUP, PLAY"})

    def _say(self, sequence: str, status: str, headers: dict[str, str], body: str = "") -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {sequence}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", body]
        self.wfile.write("\r\n".join(lines).encode())

    def _play(self) -> None:
        self.server.played += 1
        sent = self.server.sent
        for number, start in enumerate(range(0, len(sent), PACKET)):
            payload = sent[start : start + PACKET]
            header = struct.pack("!BBHII", 0x80, MPEG_TS, number % 2**16, number * 3000, 1)
            packet = header + payload
            self.wfile.write(b"$\0" + struct.pack("!H", len(packet)) + packet)
            time.sleep(0.001)


class RtspCamera(socketserver.ThreadingTCPServer):
    """A camera on a port of its own.

    Args:
        sent: what it plays to whoever asks, MPEG-TS.
        login: `user:password` it asks for; empty for nothing.

    Attributes:
        played: how often.
    """

    daemon_threads = True

    def __init__(self, sent: bytes, login: str) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.sent, self.login, self.played = sent, login, 0

    @property
    def url(self) -> str:
        user = f"{self.login}@" if self.login else ""
        return f"rtsp://{user}127.0.0.1:{self.server_address[1]}/door"


@contextmanager
def rtsp_camera(sent: bytes, login: str) -> Iterator[RtspCamera]:
    """Run a camera."""
    camera = RtspCamera(sent, login)
    thread = threading.Thread(target=camera.serve_forever)
    thread.start()
    try:
        yield camera
    finally:
        camera.shutdown()
        thread.join()
        camera.server_close()
