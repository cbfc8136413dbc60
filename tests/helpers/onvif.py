"""An ONVIF camera: answers probes by UDP and questions by SOAP, after its specification."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENVELOPE = (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:ter="http://www.onvif.org/ver10/error">'
    "<s:Body>{}</s:Body></s:Envelope>"
)
FAULT = (
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value>"
    "</s:Subcode></s:Code><s:Reason><s:Text>Sender not Authorized</s:Text></s:Reason></s:Fault>"
)
PROFILE = (
    '<p:Profiles token="{token}" xmlns:p="http://www.onvif.org/ver10/media/wsdl">'
    "<tt:Name>{name}</tt:Name><tt:VideoEncoderConfiguration><tt:Name>encoder</tt:Name>"
    "<tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width>"
    "<tt:Height>{height}</tt:Height></tt:Resolution></tt:VideoEncoderConfiguration></p:Profiles>"
)
MATCH = (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Body><d:ProbeMatches>'
    "<d:ProbeMatch><d:Scopes>onvif://www.onvif.org/type/video_encoder "
    "onvif://www.onvif.org/name/Front%20door</d:Scopes><d:XAddrs>{}</d:XAddrs>"
    "</d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
)
CLOCK_AHEAD = timedelta(hours=-9)
MAX_AGE = timedelta(minutes=1)


class OnvifCamera(ThreadingHTTPServer):
    """A camera on a free port.

    Args:
        login: user and password that it requires.

    Attributes:
        probes: datagrams that asked for devices.
        group: where it can be asked for.
        others: further addresses that it claims to have.
        broken: tokens of profiles without an address.
    """

    daemon_threads = True

    def __init__(self, login: tuple[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), OnvifHandler)
        self.login, self.others = login, ""
        self.broken: set[str] = set()
        self.probes: list[bytes] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self.group: tuple[str, int] = self._udp.getsockname()

    @property
    def address(self) -> str:
        """URL of the device service."""
        return f"http://127.0.0.1:{self.server_address[1]}/onvif/device_service"

    def answer_probes(self) -> None:
        """Answer probes until the camera is closed."""
        while True:
            probe, sender = self._udp.recvfrom(2**16)
            if probe == b"end":
                self._udp.close()
                return
            self.probes.append(probe)
            self._udp.sendto(b"nonsense", sender)
            self._udp.sendto(MATCH.format(f"{self.others} {self.address}").encode(), sender)

    def close(self) -> None:
        """Close both ports."""
        self._udp.sendto(b"end", self.group)
        self.shutdown()
        self.server_close()

    def is_signed(self, request: str) -> bool:
        """Whether a request has a fresh digest of the right password."""
        fields = [
            re.search(rf"<w:{name}(?: [^>]*)?>([^<]*)<", request)
            for name in ("Username", "Password", "Nonce")
        ]
        created = re.search(r"<u:Created>([^<]*)<", request)
        if created is None or None in fields:
            return False
        user, digest, nonce = (field[1] for field in fields if field is not None)
        age = datetime.now(UTC) + CLOCK_AHEAD - datetime.fromisoformat(created[1])
        text = base64.b64decode(nonce) + created[1].encode() + self.login[1].encode()
        expected = base64.b64encode(hashlib.sha1(text).digest()).decode()
        return abs(age) < MAX_AGE and (user, digest) == (self.login[0], expected)


class OnvifHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: OnvifCamera

    def do_POST(self) -> None:
        """Answer a request of SOAP."""
        request = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status, body = self._answer(request)
        content = ENVELOPE.format(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, request: str) -> tuple[int, str]:
        if "GetSystemDateAndTime" in request:
            now = datetime.now(UTC) + CLOCK_AHEAD
            return 200, (
                f"<tt:UTCDateTime><tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}"
                f"</tt:Minute><tt:Second>{now.second}</tt:Second></tt:Time><tt:Date><tt:Year>"
                f"{now.year}</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day>"
                "</tt:Date></tt:UTCDateTime>"
            )
        if not self.server.is_signed(request):
            return 400, FAULT
        if "GetCapabilities" in request:
            # Behind a router a camera names an address that only its own network has.
            return 200, "<tt:Media><tt:XAddr>http://10.9.9.9/onvif/media</tt:XAddr></tt:Media>"
        if "GetProfiles" in request and self.path == "/onvif/media":
            main = PROFILE.format(token="a&amp;b", name="main", width=1920, height=1080)
            return 200, main + PROFILE.format(token="low", name="low", width=640, height=360)
        found = re.search(r"ProfileToken>([^<]*)<", request)
        if found is None:
            return 400, "<s:Fault><s:Reason><s:Text>unknown</s:Text></s:Reason></s:Fault>"
        if found[1] in self.server.broken:
            return 500, "<s:Fault><s:Reason><s:Text>No such stream</s:Text></s:Reason></s:Fault>"
        stream = {"a&amp;b": "1", "low": "2"}[found[1]]
        return 200, f"<tt:Uri>rtsp://root:root@127.0.0.1:554/stream{stream}</tt:Uri>"

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def onvif_camera(user: str = "viewer", password: str = "p&ss<word") -> Iterator[OnvifCamera]:
    """Run a camera; see `OnvifCamera`."""
    camera = OnvifCamera((user, password))
    threads = [
        threading.Thread(target=target) for target in (camera.serve_forever, camera.answer_probes)
    ]
    for thread in threads:
        thread.start()
    try:
        yield camera
    finally:
        camera.close()
        for thread in threads:
            thread.join()
