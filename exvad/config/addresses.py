"""Addresses in messages: paths and URIs without the logins, passwords and tokens in them.

People write passwords as they are, with any character. What may be a part of a password is left
out: a message that shows too little is better than one that shows half a password.
"""

from __future__ import annotations

import re

# `s3:/bucket`, also as `store=s3:/bucket`. One letter is a drive of Windows.
_SLIP = re.compile(r"([\w.]+=)?[A-Za-z][A-Za-z0-9+.-]+:/")
_OF_FILES = re.compile(r"\b(file|sqlite)(\+\w+)?:/+$", re.IGNORECASE)  # without logins
_USER = re.compile(r"[^/\s]*@")
_BEGUN_QUERY = re.compile(r"\?.*=", re.DOTALL)
_QUERY = re.compile(r"(://[^\s?]*)\?\S*=\S*")


def shown_address(address: str) -> str:
    """Return a path or URI for messages: without user, password and query.

    The path of a local file stays as it is. A question mark without an equals sign after it is
    part of a name, as in `what?.mp4`.

    Args:
        address: the path or URI as it was given.

    Returns:
        The address. Where it is not known whether a slash begins the path or is a part of the
        password, nothing up to the last `@` is shown, as in `s3://…@bucket`; where even the last
        `@` may be a part of one, nothing but the scheme.
    """
    begin, rest = _split(address)
    if not begin:
        return address
    # A colon before the scheme: the address begins otherwise, and this may be in its password.
    is_inside = ":" in begin.rstrip(":/")
    shown = hide_password(address) if is_inside else _without_login(begin, rest)
    name, _, query = shown.partition("?")
    return name if "=" in query else shown


def shown_message(text: str) -> str:
    """Return a text that quotes addresses, such as an error, without their logins and queries.

    Args:
        text: the text. Where an address has a password, nothing is shown from there to the last
            `@` of the line.
    """
    lines = (_QUERY.sub(r"\1", _without_login(*_split(line))) for line in text.split("\n"))
    return "\n".join(lines)


def has_login(address: str) -> bool:
    """Return whether an address may have a user name or a password."""
    return _without_login(*_split(address)) != address


def hide_password(text: str) -> str:
    """Return a text without a scheme, `guard:secret@host`, with `…` for all before its last `@`.

    Args:
        text: the text. Without a colon before its last `@` it has no password, and stays.
    """
    login, at, place = text.rpartition("@")
    return f"…@{place}" if at and ":" in login else text


def _split(text: str) -> tuple[str, str]:
    """Return a text up to the slashes behind the scheme of its first URI, and what follows."""
    before, mark, rest = text.partition("://")
    if mark:
        return before + mark, rest
    slip = _SLIP.match(text)
    return (slip[0], text[slip.end() :]) if slip else ("", text)


def _without_login(begin: str, rest: str) -> str:
    """Return the two parts of a text together, without the login of the URI."""
    if not begin:
        return rest
    if _OF_FILES.search(begin) and rest.startswith("/"):  # an @ is part of a name
        return begin + _without_login(*_split(rest))
    login, _, place = rest.rpartition("@")
    if _BEGUN_QUERY.search(login):  # or a password with these characters
        return f"{begin}…"
    if ":" not in login:
        return begin + _USER.sub("", rest, count=1) if _USER.match(rest) else begin + rest
    return begin + (f"…@{place}" if re.search(r"[/\s]", login) else place)
