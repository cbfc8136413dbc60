"""The URL of a camera, whose password may contain any character."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

from exvad.config.addresses import hide_password, shown_address
from exvad.serving.sources.paths import safe_name

SCHEMES = ("rtsp", "rtsps")
SAFE = "!$&'()*+,;=-._~"  # of a login in a URL, beside letters and digits
# Some cameras have the password in the path: /user=admin&password=x&channel=1, or with `_` for `&`.
# It ends at the next key, as it may contain slashes.
_PATH_PASSWORD = re.compile(
    r"(pass(?:word|wd)?|pwd)(?:=|%3d).*?(?=[&_][a-z]+=|$)", re.IGNORECASE | re.DOTALL
)


def is_camera_url(url: str) -> bool:
    """Whether a URL is one of RTSP."""
    return url.partition("://")[0].lower() in SCHEMES


def normalize_camera_url(url: str) -> str:
    """Return the URL of a camera with a login in which special characters are encoded.

    People write passwords as they are. `#`, `/` and `?` end the host of a URL, and `@` ends the
    login, so such a URL is read from its last `@`. What is encoded already stays as it is.

    Args:
        url: rtsp or rtsps, with or without a login.
    """
    scheme, _, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    if not at or not _is_login(login, place):
        return f"{scheme.lower()}://{rest}"
    user, colon, password = login.partition(":")
    return f"{scheme.lower()}://{_encode(user)}{colon}{_encode(password)}@{place}"


def stream_name(url: str) -> str:
    """Return a name for a stream: its host and path, without login, password and query.

    Args:
        url: rtsp, rtsps, http or https.
    """
    parts = urlsplit(url)
    path = unquote(_PATH_PASSWORD.sub(r"\1=…", parts.path))
    return safe_name(f"{parts.hostname}{path}".replace("/", " "))


def shown_source(text: str) -> str:
    """Return a source for messages: without login, password and query, also where it is no URL.

    Args:
        text: a URL or a path as it was given. Where a slash is missing or a password is not
            encoded, it is not known where a login ends: nothing up to the last `@` is shown.
    """
    if "@" in text and _PATH_PASSWORD.search(text):  # of which it may be a part
        before, mark, _ = text.partition("://")
        return f"{before}{mark}…" if mark and ":" not in before else "…"
    shown = shown_address(text) if "://" in text else hide_password(text)
    return _PATH_PASSWORD.sub(r"\1=…", shown)


def has_login(url: str) -> bool:
    """Whether a URL has a user name."""
    return "@" in urlsplit(url).netloc


def _is_login(login: str, place: str) -> bool:
    """Whether what stands before the last `@` is a login, and not a host with a path.

    `rtsp://host/person@site` has an `@` in its path. Its host has no password, or its port is a
    number.
    """
    if not any(mark in login for mark in "/?#"):
        return True
    before = login.split("/")[0].split("?")[0].split("#")[0]
    if "@" in before:
        return False  # a login without special characters, and an @ in the path
    _, colon, password = before.partition(":")
    return bool(colon) and not password.isdigit() and bool(urlsplit(f"//{place}").hostname)


def _encode(text: str) -> str:
    """Encode what has a meaning in URLs; text that is encoded already stays so."""
    decoded = unquote(text)
    is_encoded = decoded != text and quote(decoded, safe=SAFE).lower() == text.lower()
    return text if is_encoded else quote(text, safe=SAFE)
