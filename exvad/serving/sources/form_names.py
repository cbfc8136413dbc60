"""File names in forms, in the ways in which browsers and HTTP libraries write them."""

from __future__ import annotations

import re
from urllib.parse import unquote

DEFAULT_NAME = "video"
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_EXTENDED = re.compile(rb";\s*filename\*\s*=\s*([\w-]+)'[^';]*'([^\s;]*)", re.IGNORECASE)
# What browsers escape in a name (WHATWG HTML, multipart/form-data encoding algorithm).
_ESCAPES = {"%22": '"', "%0a": "\n", "%0d": "\r"}
_ESCAPED = re.compile("|".join(_ESCAPES), re.IGNORECASE)


def read_file_name(disposition: bytes, plain: bytes | None) -> str:
    """Return the file name of a form field.

    Args:
        disposition: value of the field's header `Content-Disposition`.
        plain: its parameter `filename`; None without one.

    Returns:
        The name in the parameter `filename*` (RFC 5987) if there is one, else the plain name,
        whose quotation marks and line breaks browsers write as %22, %0A and %0D.
    """
    extended = _EXTENDED.search(_QUOTED.sub(b'""', disposition))
    if extended is not None:
        charset, value = (group.decode("ascii", "replace") for group in extended.groups())
        try:
            return unquote(value, charset, "replace")
        except LookupError:  # an unknown character set: the plain name is all there is
            pass
    name = (plain or DEFAULT_NAME.encode()).decode("utf-8", "replace")
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0].lower()], name)
