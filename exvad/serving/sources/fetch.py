"""URLs that others name: asked under limits, and never where only this machine can reach.

A name is resolved once; every address it has must be a public one, and the connection goes to that
very address, so that a second answer of the name server changes nothing. Redirects are checked
anew.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2 as httpx

if TYPE_CHECKING:
    from exvad.serving.settings import ServerSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
MOST_REDIRECTS = 3
POST_SECONDS = 20
PORTS = {"http": 80, "https": 443}
RTSP_PORT = 554
HIGHEST_PORT = 2**16 - 1


class ForbiddenURLError(ValueError):
    """A URL leads where the server does not go."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise ForbiddenURLError(f"{host}: no such host") from None
    return [str(place[4][0]) for place in found]


def is_public(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address belongs to the public internet, or to a network that is allowed besides.

    Args:
        address: an IPv4 address inside an IPv6 one counts as itself.
        allowed: networks.
    """
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    address = inner or address
    if any(address in network for network in allowed):
        return True
    if address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False):
        return False
    return address.is_global


class Fetcher:
    """Opens videos by URL, and posts to webhooks.

    Args:
        settings: which networks are allowed besides, and how long a download may take.
        resolver: says which addresses a host has.
    """

    def __init__(self, settings: ServerSettings, resolver: Resolver = resolve) -> None:
        self._allowed = settings.url_networks
        self._seconds = settings.url_seconds
        self._resolve = resolver

    @asynccontextmanager
    async def open(self, url: str, endless: bool = False) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a URL; gives its body in parts.

        Args:
            url: http or https.
            endless: it is a stream, which may go on for ever.

        Raises:
            ForbiddenURLError: it leads where the server does not go, or redirects too often.
            ValueError: it can't be fetched, or takes too long.
        """
        try:
            async with (
                asyncio.timeout(None if endless else self._seconds),
                httpx.AsyncClient(timeout=20, trust_env=False) as http,
            ):
                place = httpx.URL(url)
                for _ in range(MOST_REDIRECTS + 1):
                    response = await http.send(await self._pinned(http, place), stream=True)
                    async with aclosing(response):
                        if response.has_redirect_location:
                            place = place.join(response.headers["location"])
                            continue
                        if not response.is_success:
                            raise ValueError(f"{place.host} answers {response.status_code}")
                        yield response.aiter_bytes()
                        return
                raise ForbiddenURLError(f"more than {MOST_REDIRECTS} redirects")
        except httpx.InvalidURL:
            raise ForbiddenURLError("this is no URL") from None
        except httpx.RequestError as error:
            reason = str(error) or type(error).__name__
            raise ValueError(f"the URL can't be fetched ({reason})") from None
        except TimeoutError:
            raise ValueError(f"fetching took longer than {self._seconds:g} s") from None

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Post to a URL; return the status of the answer. Redirects are not followed.

        Raises:
            ForbiddenURLError: it leads where the server does not go.
            ValueError: nobody answers in time.
        """
        try:
            async with (
                asyncio.timeout(POST_SECONDS),
                httpx.AsyncClient(timeout=POST_SECONDS, trust_env=False) as http,
            ):
                request = await self._pinned(http, httpx.URL(url), "POST", body, headers)
                # What a receiver says beyond its status is nobody's business, however long it is.
                async with aclosing(await http.send(request, stream=True)) as response:
                    return response.status_code
        except httpx.InvalidURL:
            raise ForbiddenURLError("this is no URL") from None
        except (httpx.RequestError, TimeoutError) as error:
            raise ValueError(f"no answer ({str(error) or type(error).__name__})") from None

    async def check(self, url: str) -> None:
        """Refuse a URL that leads where the server does not go.

        Raises:
            ForbiddenURLError: says why.
        """
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                await self._pinned(http, httpx.URL(url), "POST")
        except httpx.InvalidURL:
            raise ForbiddenURLError("this is no URL") from None

    async def pin(self, url: str) -> tuple[str, int]:
        """Return the address and the port that the URL of a camera leads to.

        Args:
            url: rtsp.

        Raises:
            ForbiddenURLError: it leads where the server does not go.
        """
        try:
            place = urlsplit(url)
            host, port = place.hostname, place.port or RTSP_PORT
        except ValueError:
            raise ForbiddenURLError("this is no URL") from None
        if place.scheme != "rtsp" or not host:
            raise ForbiddenURLError("only rtsp://, http:// and https:// streams are watched")
        return (await self._address(host, port)).strip("[]"), port

    async def _address(self, host: str, port: int) -> str:
        """Return the address of a host as URLs write it, if all it has may be asked."""
        addresses = await self._resolve(host, port)
        known = [ipaddress.ip_address(address.partition("%")[0]) for address in addresses]
        if not known or not all(is_public(address, self._allowed) for address in known):
            raise ForbiddenURLError(
                f"{host}: not an address of the public internet, "
                "nor of a network that the server's url_networks allow"
            )
        return f"[{known[0]}]" if known[0].version == 6 else str(known[0])

    async def _pinned(
        self,
        http: httpx.AsyncClient,
        url: httpx.URL,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Request:
        """Check where a URL leads; return a request to that very address."""
        if url.scheme not in PORTS or not url.host:
            raise ForbiddenURLError("only http:// and https:// URLs are fetched")
        if url.userinfo:
            raise ForbiddenURLError("a URL must not hold a user name or password")
        port = PORTS[url.scheme] if url.port is None else url.port
        if not 1 <= port <= HIGHEST_PORT:
            raise ForbiddenURLError(f"there is no port {port}")
        host = await self._address(url.host, port)
        return http.build_request(
            method,
            url.copy_with(host=host),
            content=body,
            headers={
                "Host": url.netloc.decode("ascii"),
                "Accept-Encoding": "identity",
                **(headers or {}),
            },
            extensions={"sni_hostname": url.host},
        )
