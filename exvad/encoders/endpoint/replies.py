"""The replies of chat endpoints: JSON or a stream of events, and the answer in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from exvad.encoders.answers import Answer
from exvad.encoders.endpoint.errors import EndpointError, error_message


def read_completion(completion: Any, base_url: str, max_new_tokens: int) -> Answer:
    """Return the answer in a chat completion.

    Args:
        completion: what the endpoint sent, from JSON.
        base_url: address of the endpoint, for the message.
        max_new_tokens: the length that was asked for.

    Raises:
        EndpointError: it is no chat completion.
    """
    try:
        choice = completion["choices"][0]
        message = choice["message"]
        content = message["content"] if "content" in message else message["refusal"]
        reason = choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise EndpointError(
            f"the answer of {base_url} is no chat completion "
            f"({json.dumps(completion)[:200]}): set base_url to an OpenAI-compatible endpoint"
        ) from None
    if message.get("refusal"):
        return Answer("", refusal=str(message["refusal"]))
    if reason == "content_filter":
        return Answer("", refusal="the provider's content filter stopped the answer")
    text = _join_text(content).strip()
    thoughts = message.get("reasoning_content") or message.get("reasoning")
    return Answer(
        text,
        cut_off_at=max_new_tokens if reason == "length" else 0,
        only_thoughts=not text and bool(thoughts),
    )


def read_json(content: bytes) -> Any:
    """Parse an answer.

    Raises:
        OSError: it is no JSON, as the pages of proxies; the message quotes its beginning.
    """
    try:
        return json.loads(content)
    except ValueError:
        beginning = content[:80].decode("utf-8", "replace")
        raise OSError(f"the answer is no JSON but {beginning!r}") from None


def is_event_stream(response: Any) -> bool:
    """Return whether an HTTP response is a stream of server-sent events."""
    return str(response.headers.get("Content-Type", "")).startswith("text/event-stream")


def read_events(lines: Iterable[bytes], on_text: Callable[[str], None]) -> dict[str, Any]:
    """Return the chat completion that a stream of server-sent events consists of.

    Args:
        lines: the lines of the stream.
        on_text: called with the text so far.

    Raises:
        OSError: the stream is broken off, or has an error.
    """
    message, reason = dict.fromkeys(("content", "reasoning_content", "refusal"), ""), None
    for line in lines:
        field, _, data = line.decode("utf-8", "replace").partition(":")
        if field != "data":
            continue
        if data.strip() == "[DONE]":
            break
        event = json.loads(data)
        if "error" in event:
            raise OSError(error_message(data))
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            text = delta.get("content")
            message["content"] += text or ""
            message["refusal"] += delta.get("refusal") or ""
            thoughts = delta.get("reasoning_content") or delta.get("reasoning")
            message["reasoning_content"] += thoughts or ""
            reason = choice.get("finish_reason") or reason
            if text:
                on_text(message["content"])
    if reason is None:
        raise OSError("the answer broke off")
    return {"choices": [{"message": message, "finish_reason": reason}]}


def _join_text(content: Any) -> str:
    """Return the text of a message, which may be a list of parts of different types."""
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict)]
        return "".join(str(part["text"]) for part in parts if part.get("type") == "text")
    return str(content or "")
