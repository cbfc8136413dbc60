"""The login of a camera that answers by HTTP: sent if it is asked for, and to that camera only."""

from __future__ import annotations

from collections.abc import Generator
from typing import Self
from urllib.parse import unquote, urlsplit

import httpx2 as httpx

from exvad.serving.sources.camera_problems import UNAUTHORIZED

NO_KNOWN_WAY = "the camera asks for the login in a way that is not supported"
PORTS = {"http": 80, "https": 443}


class CameraLogin:
    """User and password of a camera, and the only place that they may be sent to.

    Args:
        user: user name.
        password: its password. With Digest, which is preferred, only a digest of it is sent.
        url: of the camera, without the login.
    """

    def __init__(self, user: str, password: str, url: str) -> None:
        self._basic, self._digest = (
            httpx.BasicAuth(user, password),
            httpx.DigestAuth(user, password),
        )
        self._place = _place(httpx.URL(url))

    @classmethod
    def split(cls, url: str) -> tuple[str, Self | None]:
        """Return a URL without its login, and the login.

        Args:
            url: http or https, with an encoded login or none.

        Raises:
            ValueError: it is no URL.
        """
        parts = urlsplit(url)
        login, at, place = parts.netloc.rpartition("@")
        if not at:
            return url, None
        user, _, password = login.partition(":")
        bare = parts._replace(netloc=place).geturl()
        try:
            return bare, cls(unquote(user), unquote(password), bare)
        except httpx.InvalidURL:
            raise ValueError("the URL is invalid") from None

    def belongs_to(self, url: httpx.URL) -> bool:
        """Whether a URL is on the camera itself: the same host and port, or the same host by TLS.

        Args:
            url: such as the target of a redirect, or a segment that a playlist names.
        """
        scheme, host, port = self._place
        is_upgrade = (scheme, port) == ("http", PORTS["http"]) and _place(url) == (
            "https",
            host,
            PORTS["https"],
        )
        return _place(url) == self._place or is_upgrade

    def sign(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield a request, and once more with the login if its response asks for it.

        Args:
            request: to the camera; its headers are changed.

        Raises:
            ValueError: the camera asks in a way that is not supported.
        """
        flow = self._digest.auth_flow(request)
        try:
            first = next(flow)
        except (httpx.ProtocolError, NotImplementedError, ValueError):
            first = request  # a digest that was computed before can't be renewed
        response = yield first
        ways = response.headers.get_list("www-authenticate")
        is_refused = response.status_code == UNAUTHORIZED
        offers_basic = is_refused and any(way.lower().startswith("basic") for way in ways)
        signed: httpx.Request | None = None
        try:
            signed = flow.send(response)
        except StopIteration:  # no digest is asked for
            pass
        except (httpx.ProtocolError, NotImplementedError, ValueError):
            if not offers_basic:
                raise ValueError(NO_KNOWN_WAY) from None
        if signed is None and offers_basic:
            signed = next(self._basic.auth_flow(request))
        if signed is not None:
            yield signed


def _place(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or PORTS.get(url.scheme)
