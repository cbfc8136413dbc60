"""A login that small HTTP servers of the tests ask for, as cameras do: by Basic or by Digest."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Literal
from urllib.request import parse_http_list, parse_keqv_list

REALM, NONCE = "camera", "0123456789"


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


@dataclass
class Guard:
    """Lets requests pass that have the login.

    Args:
        way: how the login is asked for.
        user: user name.
        password: its password.
        sent: what the requests had in their header `Authorization`; empty for nothing.
    """

    way: Literal["Basic", "Digest"]
    user: str
    password: str
    sent: list[str] = field(default_factory=list)

    def lets_pass(self, request: BaseHTTPRequestHandler) -> bool:
        """Whether a request has the login; otherwise it is answered with status 401."""
        header = request.headers.get("Authorization", "")
        self.sent.append(header)
        if self._is_right(header, request):
            return True
        digest = f'Digest realm="{REALM}", qop="auth", nonce="{NONCE}", algorithm=MD5'
        request.send_response(401)
        request.send_header(
            "WWW-Authenticate", digest if self.way == "Digest" else f'Basic realm="{REALM}"'
        )
        request.send_header("Content-Length", "0")
        request.end_headers()
        return False

    def _is_right(self, header: str, request: BaseHTTPRequestHandler) -> bool:
        way, _, value = header.partition(" ")
        if way != self.way:
            return False
        if way == "Basic":
            return base64.b64decode(value).decode() == f"{self.user}:{self.password}"
        parts = parse_keqv_list(parse_http_list(value))
        secret = _md5(self.user, REALM, self.password)
        place = _md5(request.command, request.path)
        numbers = (parts["nonce"], parts["nc"], parts["cnonce"], parts["qop"])
        return parts["uri"] == request.path and parts["response"] == _md5(secret, *numbers, place)
