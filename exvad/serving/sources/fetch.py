"""URLs that clients send: fetched within limits, and only from addresses that clients may reach.

A host name is resolved once, and all of its addresses must be public. The connection goes to one of
these addresses, so that a later answer of the name server has no effect. Redirects are checked in
the same way.
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

from exvad.serving.sources.camera_login import CameraLogin
from exvad.serving.sources.camera_problems import describe_silence, describe_status
from exvad.serving.sources.camera_url import is_web_url

if TYPE_CHECKING:
    from exvad.serving.settings import ServerSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

MAX_REDIRECTS = 3
REQUEST_SECONDS = 20
DEFAULT_PORTS = {"http": 80, "https": 443}
RTSP_PORTS = {"rtsp": 554, "rtsps": 322}
MAX_PORT = 2**16 - 1


class ForbiddenURLError(ValueError):
    """The server may not open a URL."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host.

    Raises:
        ForbiddenURLError: the host is unknown.
    """
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise ForbiddenURLError(f"{host}: no such host") from None
    except UnicodeError:  # a label that is too long or empty, or a character without a form
        raise ForbiddenURLError("the URL is invalid: its host is not the name of a host") from None
    return [str(socket_address[0]) for *_, socket_address in infos]


def is_public(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address is on the public internet, or in an allowed network.

    Args:
        address: the address; an IPv4 address inside an IPv6 address counts as IPv4.
        allowed: private networks that are allowed.
    """
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    address = inner or address
    if any(address in network for network in allowed):
        return True
    if address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False):
        return False
    return address.is_global


class Fetcher:
    """Downloads videos from URLs, and posts webhooks.

    Args:
        settings: allowed private networks, and the longest download.
        resolver: returns the addresses of a host.
        login: of the camera whose stream is fetched; it is sent to no other place.
    """

    def __init__(
        self,
        settings: ServerSettings,
        resolver: Resolver = resolve,
        login: CameraLogin | None = None,
    ) -> None:
        self._allowed = settings.url_networks
        self._seconds = settings.url_seconds
        self._resolve = resolver
        self._login = login

    @asynccontextmanager
    async def open(self, url: str, endless: bool = False) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a URL; see `open_located`.

        Yields:
            The body in parts.
        """
        async with self.open_located(url, endless) as (_, parts):
            yield parts

    @asynccontextmanager
    async def open_located(
        self, url: str, endless: bool = False
    ) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """Open a URL, and say where it led.

        Args:
            url: http or https.
            endless: whether the body is a stream that never ends, which has no time limit.

        Yields:
            The URL after redirects, and the body in parts.

        Raises:
            ForbiddenURLError: the server may not open the URL, or it redirects too often.
            ValueError: the URL can't be fetched, or fetching takes too long.
        """
        try:
            async with (
                asyncio.timeout(None if endless else self._seconds),
                httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False) as http,
            ):
                location = httpx.URL(url)
                for _ in range(MAX_REDIRECTS + 1):
                    async with aclosing(await self._send(http, location)) as response:
                        if response.has_redirect_location:
                            location = location.join(response.headers["location"])
                            continue
                        if not response.is_success:
                            raise ValueError(self._describe(location, response, endless))
                        yield str(location), response.aiter_bytes()
                        return
                raise ForbiddenURLError(f"the URL redirects more than {MAX_REDIRECTS} times")
        except httpx.InvalidURL:
            raise ForbiddenURLError("the URL is invalid") from None
        except httpx.RequestError as error:
            if endless and (cause := _connection_error(error)) is not None:
                scheme = url.partition(":")[0].lower()
                raise ValueError(describe_silence(cause, REQUEST_SECONDS, scheme)) from None
            reason = str(error) or type(error).__name__
            raise ValueError(f"the URL can't be fetched ({reason})") from None
        except TimeoutError:
            raise ValueError(f"fetching took longer than {self._seconds:g} s") from None

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Post to a URL; redirects are not followed.

        Args:
            url: http or https.
            body: the body.
            headers: additional headers.

        Returns:
            The status code of the response.

        Raises:
            ForbiddenURLError: the server may not open the URL.
            ValueError: there is no response in time.
        """
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False) as http,
            ):
                request = await self._build_request(http, httpx.URL(url), "POST", body, headers)
                # The body of the response is not read: it may be of any length.
                async with aclosing(await http.send(request, stream=True)) as response:
                    return response.status_code
        except httpx.InvalidURL:
            raise ForbiddenURLError("the URL is invalid") from None
        except (httpx.RequestError, TimeoutError) as error:
            raise ValueError(f"no response ({str(error) or type(error).__name__})") from None

    async def check(self, url: str) -> None:
        """Check that the server may open a URL.

        Args:
            url: http or https.

        Raises:
            ForbiddenURLError: the server may not open the URL.
        """
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                await self._build_request(http, httpx.URL(url))
        except httpx.InvalidURL:
            raise ForbiddenURLError("the URL is invalid") from None

    async def check_stream(self, url: str) -> None:
        """Check that the server may watch a URL.

        Args:
            url: rtsp, rtsps, http or https.

        Raises:
            ForbiddenURLError: the server may not open the URL.
        """
        if is_web_url(url):
            await self.check(_without_login(url))
        else:
            await self.resolve_rtsp(url)

    async def resolve_rtsp(self, url: str) -> tuple[str, int]:
        """Return the address and the port of a camera.

        Args:
            url: rtsp or rtsps.

        Raises:
            ForbiddenURLError: the server may not open the URL.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or RTSP_PORTS.get(parts.scheme)
        except ValueError:
            raise ForbiddenURLError("the URL is invalid") from None
        if parts.scheme not in RTSP_PORTS or port is None or not host:
            raise ForbiddenURLError(
                "only rtsp://, rtsps://, http:// and https:// streams are watched"
            )
        return str(await self._resolve_public(host, port)), port

    async def _resolve_public(self, host: str, port: int) -> Address:
        """Return an address of a host, if all of its addresses are public or allowed."""
        texts = await self._resolve(host, port)
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in texts]
        if not addresses or not all(is_public(address, self._allowed) for address in addresses):
            raise ForbiddenURLError(
                f"{host}: not an address of the public internet, "
                "nor of a network in the server's setting url_networks"
            )
        return addresses[0]

    async def _send(self, http: httpx.AsyncClient, location: httpx.URL) -> httpx.Response:
        """Request a checked URL, with the login where the camera itself asks for it."""
        request = await self._build_request(http, location)
        if self._login is None or not self._login.belongs_to(location):
            return await http.send(request, stream=True)
        signing = self._login.sign(request)
        request = next(signing)
        while True:
            response = await http.send(request, stream=True)
            try:
                request = signing.send(response)
            except StopIteration:
                return response
            except ValueError:
                await response.aclose()
                raise
            await response.aclose()

    def _describe(self, location: httpx.URL, response: httpx.Response, is_camera: bool) -> str:
        """Return what an error status means."""
        if not is_camera:
            return f"{location.host} answered with status {response.status_code}"
        if self._login is not None and not self._login.belongs_to(location):
            return (
                f"the camera leads to {location.host}, which answered with status "
                f"{response.status_code}; user name and password are sent to the camera only"
            )
        return describe_status(response.status_code, self._login is not None, location.scheme)

    async def _build_request(
        self,
        http: httpx.AsyncClient,
        url: httpx.URL,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Request:
        """Check a URL, and return a request to the address that was checked."""
        if url.scheme not in DEFAULT_PORTS or not url.host:
            raise ForbiddenURLError("only http:// and https:// URLs are fetched")
        if url.userinfo:
            raise ForbiddenURLError("a URL must not contain a user name or password")
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if not 1 <= port <= MAX_PORT:
            raise ForbiddenURLError(f"there is no port {port}")
        address = await self._resolve_public(url.host, port)
        return http.build_request(
            method,
            url.copy_with(host=f"[{address}]" if address.version == 6 else str(address)),
            content=body,
            headers={
                "Host": url.netloc.decode("ascii"),
                "Accept-Encoding": "identity",
                **(headers or {}),
            },
            extensions={"sni_hostname": url.host},
        )


def _without_login(url: str) -> str:
    """Return the URL of a camera without user and password.

    Raises:
        ForbiddenURLError: it is no URL.
    """
    try:
        return CameraLogin.split(url)[0]
    except ValueError:
        raise ForbiddenURLError("the URL is invalid") from None


def _connection_error(error: httpx.RequestError) -> OSError | None:
    """Return why there is no connection; None if there was one."""
    if isinstance(error, httpx.ConnectTimeout):
        return TimeoutError()
    cause: BaseException | None = error if isinstance(error, httpx.ConnectError) else None
    found: OSError | None = None
    while cause is not None:  # the innermost one says the most
        found = cause if isinstance(cause, OSError) else found
        cause = cause.__cause__ or cause.__context__
    return found
