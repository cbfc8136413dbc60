"""The address under which clients reach the server, which a reverse proxy may have changed."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "exvad.prefix"  # in the scope of a request: the path below which the server runs


class PublicAddress:
    """The server's address as clients write it.

    Args:
        url: the setting `public_url`; "" if clients reach the server directly.

    Attributes:
        url: the address without a slash at the end; "" if it is not known.
        host: its host and port; "" if it is not known.
        path: its path, such as `/exvad`; "" for the root.
        is_secure: whether clients use HTTPS.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self.host = parts.netloc.lower()
        self.path = parts.path.rstrip("/")
        self.is_secure = parts.scheme == "https"

    def locate(self, request: Request, path: str) -> str:
        """Return the address of a resource for the header `Location`.

        Args:
            request: the request that is answered.
            path: path of the resource below the root of the application.
        """
        return (self.url or request.scope.get(PREFIX, "")) + path


class BelowPath:
    """Middleware that takes the path below which the server runs from the paths of requests.

    Some reverse proxies remove it, others pass it on. Ray Serve calls it the route prefix.

    Args:
        app: the application that responds.
        path: path of the public address, such as `/exvad`; "" for the root.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self.path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application as if the server ran at the root."""
        if scope["type"] == "http":
            scope = dict(scope)
            scope[PREFIX] = self.path
            for prefix in (scope.get("root_path", "").rstrip("/"), self.path):
                if prefix and scope["path"] == prefix:  # relative links need the slash
                    await RedirectResponse(f"{self.path or prefix}/")(scope, receive, send)
                    return
                if prefix and scope["path"].startswith(f"{prefix}/"):
                    scope["path"] = scope["path"].removeprefix(prefix)
                    scope[PREFIX] = self.path or prefix
            scope["root_path"] = ""
        await self.app(scope, receive, send)
