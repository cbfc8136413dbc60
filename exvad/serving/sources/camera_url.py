"""The URL of a camera, whose password may contain any character."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

from exvad.config.addresses import hide_password, shown_address
from exvad.serving.sources.paths import safe_name

SCHEMES = ("rtsp", "rtsps")
WEB_SCHEMES = ("http", "https")
SAFE = "!$&'()*+,;=-._~"  # of a login in a URL, beside letters and digits
_ENCODED = re.compile(rf"(?:[A-Za-z0-9:{re.escape(SAFE)}]|%[0-9A-Fa-f]{{2}})*")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|(?:[\w-]+\.)+[\w-]+\.?|localhost)(?::\d+)?")
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|\d+(?:\.\d+){3})(?::\d+)?")
PORT_DIGITS = 5
RTSP_PORTS = ("88", "322", "554", "1935", "7447", "8080", "8322", "8554", "10554")
# Some cameras have the password in the path: /user=admin&password=x&channel=1, or with `_` for `&`.
# It ends at the next key, as it may contain slashes.
_PATH_PASSWORD = re.compile(
    r"(pass(?:word|wd)?|pwd)(?:=|%3d).*?(?=[&_][a-z]+=|$)", re.IGNORECASE | re.DOTALL
)


def is_camera_url(url: str) -> bool:
    """Whether a URL is one of RTSP."""
    return url.partition("://")[0].lower() in SCHEMES


def is_web_url(url: str) -> bool:
    """Whether a URL is one of HTTP."""
    return url.partition("://")[0].lower() in WEB_SCHEMES


def normalize_camera_url(url: str) -> str:
    """Return the URL of a camera with a login in which special characters are encoded.

    People write passwords as they are. `#`, `/` and `?` end the host of a URL, and `@` ends the
    login, so such a URL is read from its last `@`. A user name or a password stays as it is where
    every `%` in it begins a code and nothing else has to be encoded.

    Args:
        url: rtsp, rtsps, http or https, with or without a login; any other stays as it is.
    """
    if not is_camera_url(url) and not is_web_url(url):
        return url
    scheme, _, rest = url.partition("://")
    login, place = _split(rest, is_camera_url(url))
    if login is None:
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


def _split(rest: str, is_rtsp: bool) -> tuple[str | None, str]:
    """Return the login of what follows the scheme, and the rest; None without a login."""
    login, at, place = rest.rpartition("@")
    if at and _is_login(login, place, is_rtsp):
        return login, place
    login, at, _ = re.split("[/?#]", rest)[0].rpartition("@")
    return (login, rest[len(login) + 1 :]) if at else (None, rest)


def _is_login(login: str, place: str, is_rtsp: bool) -> bool:
    """Whether what stands before the last `@` is a login, and not a host with a path.

    `rtsp://host/person@site` has an `@` in its path. Both can be meant where the text before the
    first `/` or `?` may be a host with its port, or has an `@` of its own; then what follows the
    last `@` decides, if it is certainly a host. What stands before such digits may be a host in
    one word, as containers have: then only an address decides, or by RTSP also a name with a dot
    where no camera or server has that port.
    """
    if not any(mark in login for mark in "/?#"):
        return True
    if "#" in login and ":" in login:  # the URL of a stream has no fragment
        return True
    before = re.split("[/?#]", login)[0]
    if "@" in before:
        return _is_host(place) and not _is_host(before.rpartition("@")[2])
    name, colon, password = before.partition(":")
    if not colon or name.startswith("["):
        return False
    if password.isdecimal() and len(password) <= PORT_DIGITS:
        is_address = _ADDRESS.fullmatch(re.split("[/?#]", place)[0]) is not None
        is_no_port = is_rtsp and password not in RTSP_PORTS
        return not _is_host(name) and (is_address or (is_no_port and _is_host(place)))
    return bool(urlsplit(f"//{place}").hostname)


def _is_host(place: str) -> bool:
    """Whether a text begins with what is certainly a host: an address, or a name with a dot."""
    return _HOST.fullmatch(re.split("[/?#]", place)[0]) is not None


def _encode(text: str) -> str:
    """Encode what has a meaning in URLs; text that is encoded already stays so."""
    return text if "%" in text and _ENCODED.fullmatch(text) else quote(text, safe=SAFE)
