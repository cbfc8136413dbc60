"""Errors of chat endpoints, and what a provider says in them."""

from __future__ import annotations

import json
import re

from exvad.encoders.answers import NoAnswerError

_ABOUT_INPUT = re.compile(
    r"content.?(?:filter|policy|management|moderation)|safety|context.?length|too (?:long|large)",
    re.IGNORECASE,
)


class EndpointError(ValueError):
    """An endpoint cannot be used; the message has its address and what it answered."""


class RefusingEndpointError(EndpointError, NoAnswerError):
    """An endpoint has refused every request so far; the message quotes it."""


class GivenUpError(EndpointError):
    """A request was not sent again, because another one has failed or the caller has left."""


class RefusedRequestError(Exception):
    """The endpoint refuses a request.

    Args:
        status: HTTP status.
        reply: content of the reply.

    Attributes:
        message: the provider's message in the reply.
        is_about_input: whether the content or the length of the request is refused.
    """

    def __init__(self, status: int, reply: str) -> None:
        self.message = error_message(reply)
        super().__init__(f"{status}: {self.message}")
        self.is_about_input = status == 413 or bool(_ABOUT_INPUT.search(reply))


def error_message(reply: str) -> str:
    """Return the message in a provider's error, which is JSON or any text, shortened."""
    try:
        content = json.loads(reply)
    except ValueError:
        return reply[:300]
    error = content.get("error", content) if isinstance(content, dict) else content
    if isinstance(error, dict) and "message" in error:
        error = error["message"]
    return (error if isinstance(error, str) else json.dumps(error))[:300]
