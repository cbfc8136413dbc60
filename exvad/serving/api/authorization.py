"""Whether a request may proceed: its origin, its API key, and the scope of the key."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

from exvad.serving.api.keys import ApiKeys, Scope, includes

KEY_COOKIE = "exvad_key"


def authorize(request: Request, keys: ApiKeys, scope: Scope, public_host: str = "") -> None:
    """Refuse a request that may not do what a scope permits.

    Args:
        request: the request.
        keys: the API keys that the server accepts.
        scope: the scope that the endpoint requires.
        public_host: host and port under which browsers reach the server through a proxy; "" if
            they are those of the request.

    Raises:
        HTTPException: 401 without a known key; 403 if the key's scope does not suffice, if a page
            of another site sent the request, or if the server has no API keys and another machine
            sent it.
    """
    if _is_cross_site(request, public_host):
        raise HTTPException(
            403,
            "requests from pages of other sites are refused; if this is the server's own page "
            "behind a proxy, set public_url to its address",
        )
    if not keys.required:
        if not _is_local(request):
            raise HTTPException(
                403, "without API keys the server answers only this machine: set api_keys"
            )
        return
    key = read_key(request)
    key_scope = keys.lookup_scope(key)
    if key_scope is None:
        reason = "this API key is unknown" if key else "an API key is required"
        raise HTTPException(
            401,
            f"{reason}: send the header Authorization: Bearer KEY",
            {"WWW-Authenticate": "Bearer"},
        )
    if not includes(key_scope, scope):
        raise HTTPException(
            403, f"this API key may not {scope}: its scope is {key_scope}, use one with {scope}"
        )


def read_key(request: Request) -> str:
    """Return the API key of a request, from its header or from the page's cookie; "" if none."""
    header = request.headers.get("authorization")
    if header is None:
        return request.cookies.get(KEY_COOKIE, "")
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _is_local(request: Request) -> bool:
    """Return whether this machine sent the request, to one of its own names.

    The name is checked against DNS rebinding: another site's name may resolve to this machine. A
    proxy on this machine adds the addresses of those for whom it asks.
    """
    if request.client is None:
        return False
    clients = [request.client.host, *_forwarded_for(request)]
    return all(map(_is_loopback, clients)) and _is_loopback(request.url.hostname or "")


def _forwarded_for(request: Request) -> list[str]:
    """Return the clients of proxies that a request names; "unknown" for what is not an address."""
    named = ",".join(
        value
        for header in ("x-forwarded-for", "x-real-ip")
        for value in request.headers.getlist(header)
    )
    clients = [client.strip() for client in named.split(",") if client.strip()]
    return clients + (["unknown"] if "forwarded" in request.headers else [])


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "testclient"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_cross_site(request: Request, public_host: str) -> bool:
    """Return whether a page of another site sent the request.

    Browsers send the header `Origin` with every request that may change something, and, over HTTPS
    and on the same machine, `Sec-Fetch-Site`, which is right behind every proxy. No page can set
    either.
    """
    origin = request.headers.get("origin")
    if origin is None or request.headers.get("sec-fetch-site") == "same-origin":
        return False
    try:
        return urlsplit(origin).netloc.lower() not in (
            request.headers.get("host", "").lower(),
            public_host or None,
        )
    except ValueError:
        return True
