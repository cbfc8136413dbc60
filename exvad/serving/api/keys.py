"""API keys: hashed on disk, compared in constant time, with scopes; without any, this machine only.

The file has one `scope sha256-of-the-key` per line; scope is read, submit or admin, each of which
may do what those before it may.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

COOKIE = "exvad_key"
DIGEST = re.compile("[0-9a-fA-F]{64}")
Scope = Literal["read", "submit", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "submit", "admin")


class Keys:
    """The keys that are known.

    Args:
        path: the file; None for no keys.

    Raises:
        ValueError: a line of the file is no key.
    """

    def __init__(self, path: Path | None) -> None:
        self._known: list[tuple[int, str]] | None = None if path is None else _read(path)

    @property
    def needed(self) -> bool:
        """Whether keys are asked for at all."""
        return self._known is not None

    def rank(self, key: str) -> int | None:
        """Return how much a key allows, as its place in `SCOPES`; None if it is not known."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        # Every key is compared, so that the time tells nothing.
        held = [rank for rank, known in self._known or () if hmac.compare_digest(known, digest)]
        return max(held, default=None)

    def require(self, scope: Scope) -> Callable[[Request], None]:
        """Return a dependency that lets in who may do what `scope` allows."""
        least = SCOPES.index(scope)

        def check(request: Request) -> None:
            if _is_foreign(request):
                raise HTTPException(403, "pages of other sites may not ask")
            if self._known is None:
                if not _is_local(request):
                    raise HTTPException(
                        403, "without API keys only this machine may ask: set api_keys"
                    )
                return
            given = given_key(request)
            held = self.rank(given)
            if held is None:
                wanted = "this API key is not known here" if given else "an API key is needed"
                raise HTTPException(
                    401, f"{wanted}: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
                )
            if held < least:
                raise HTTPException(403, f"this key may not {scope}")

        return check


def given_key(request: Request) -> str:
    """Return the key that comes with a request: in its header, or in the cookie of the page."""
    header = request.headers.get("authorization")
    if header is None:
        return request.cookies.get(COOKIE, "")
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _read(path: Path) -> list[tuple[int, str]]:
    known = []
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise ValueError(f"api_keys: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"api_keys: {path} is no text") from None
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] not in SCOPES or not DIGEST.fullmatch(words[1]):
            raise ValueError(f"{path}, line {number}: write `scope sha256`, scope one of {SCOPES}")
        known.append((SCOPES.index(words[0]), words[1].lower()))
    return known


def _is_local(request: Request) -> bool:
    """Whether this machine asks, and by a name of its own.

    Without that, a page of a site whose name turns to this machine's address could ask.
    """
    if request.client is None:
        return False
    return _is_loopback(request.client.host) and _is_loopback(request.url.hostname or "")


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "testclient"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_foreign(request: Request) -> bool:
    """Whether a browser asks for another site: it says so of all that may change something."""
    origin = request.headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != request.headers.get("host")
    except ValueError:
        return True
