"""API keys: stored as hashes, compared in constant time, each with a scope.

The file has one line `SCOPE SHA256` per key: the scope `read`, `submit` or `admin`, and the SHA-256
hash of the key in hexadecimal. Each scope includes those before it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path
from typing import Literal

from exvad.data.storage.errors import reason_of

Scope = Literal["read", "submit", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "submit", "admin")
_SHA256 = re.compile("[0-9a-fA-F]{64}")


class ApiKeys:
    """The API keys that the server accepts.

    Args:
        path: the file of keys; None if requests need no key.

    Raises:
        ValueError: the file can't be read, or a line does not name a scope and a hash.
    """

    def __init__(self, path: Path | None) -> None:
        self.required = path is not None
        self._scopes = [] if path is None else _read_keys(path)

    def lookup_scope(self, key: str) -> Scope | None:
        """Return the widest scope of a key, or None if the key is unknown."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        # Every hash is compared, so that the response time reveals nothing about the keys.
        ranks = [
            SCOPES.index(scope)
            for scope, known_digest in self._scopes
            if hmac.compare_digest(known_digest, digest)
        ]
        return SCOPES[max(ranks)] if ranks else None


def includes(scope: Scope, required: Scope) -> bool:
    """Return whether a scope permits what another scope permits."""
    return SCOPES.index(scope) >= SCOPES.index(required)


def _read_keys(path: Path) -> list[tuple[Scope, str]]:
    """Read the scope and the hash of each key."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise ValueError(f"api_keys: {path}: {reason_of(error)}") from None
    except UnicodeDecodeError:
        raise ValueError(f"api_keys: {path} is not a text file in UTF-8") from None
    keys: list[tuple[Scope, str]] = []
    for line_number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        scope = next((scope for scope in SCOPES if scope == words[0]), None)
        if scope is None or len(words) != 2 or not _SHA256.fullmatch(words[1]):
            raise ValueError(
                f"{path}, line {line_number}: write `SCOPE SHA256`, with one of the scopes "
                f"{', '.join(SCOPES)}"
            )
        keys.append((scope, words[1].lower()))
    return keys
